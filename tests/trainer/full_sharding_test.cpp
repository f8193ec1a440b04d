// comm.sharding = "full" as a user starts it: the same training as one rank's, in less memory a rank, and checkpoints that
// any sharding goes on from.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

using Settings = std::vector<std::string>;

/// Every run has a folder of its own.
class Runs {
 public:
  explicit Runs(Settings of_all) : of_all_(std::move(of_all)), file_(write_run_file(folder_)) {}

  fs::path operator()(const std::string& name, int ranks, Settings settings) const {
    settings.insert(settings.end(), of_all_.begin(), of_all_.end());
    settings.push_back("run.directory=" + directory(name).string());
    train(ranks, file_, settings);
    return directory(name);
  }
  fs::path directory(const std::string& name) const { return folder_.path() / name; }
  const fs::path& file() const { return file_; }

 private:
  Settings of_all_;
  TemporaryFolder folder_;
  fs::path file_;
};

void check_losses(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::abs(a[i] / b[i] - 1) < 1e-6);
}

struct Variant {
  int ranks;
  Settings settings;
};

void check_same_training(const Settings& of_all, const std::vector<Variant>& variants) {
  const Runs run(of_all);
  const auto alone = losses(run("alone", 0, {}) / "run.h5", 1, 20);
  CHECK(alone.back() < alone.front());
  for (const auto& [ranks, settings] : variants) {
    const std::string name = fmt::format("{}-{}", ranks, fmt::join(settings, "-"));
    INFO(name);
    check_losses(losses(run(name, ranks, settings) / "run.h5", 1, 20), alone);
  }
}

TEST_CASE("images: 20 steps have the losses of one rank, in shards and in groups of them") {
  check_same_training({"run.steps=20", "model.depth=3", "checkpoint.at_end=false"},
                      {{1, {"comm.sharding=full"}},
                       {2, {"comm.sharding=optimizer"}},
                       {2, {"comm.sharding=full", "run.recompute=linear"}},
                       {2, {"comm.sharding=full", "run.recompute=full", "batch.accumulate=2"}},
                       {4, {"comm.sharding=full"}},
                       {4, {"comm.sharding=full", "comm.shard_group=2"}}});
}

TEST_CASE("clips: so they have") {
  check_same_training(
      {"run.steps=20", "model.depth=4", "model.frames=4", "model.temporal_patch_size=2", "checkpoint.at_end=false"},
      {{2, {"comm.sharding=full"}}, {4, {"comm.sharding=full", "comm.shard_group=2"}}});
}

TEST_CASE("a step in shards is resumed bit for bit, and by any other sharding") {
  const Runs run({"model.depth=3", "checkpoint.every_steps=5"});
  const Settings full = {"comm.sharding=full"}, groups = {"comm.sharding=full", "comm.shard_group=2"};
  const auto resumed = [&](Settings settings, const fs::path& from) {
    settings.push_back("run.resume=" + (from / "checkpoint-5.h5").string());
    return settings;
  };
  const fs::path whole = run("none", 2, {}), shards = run("full", 2, full), in_groups = run("groups", 4, groups);
  CHECK(
      same_checkpoints(run("full-again", 2, resumed(full, shards)) / "checkpoint-10.h5", shards / "checkpoint-10.h5"));
  CHECK(same_checkpoints(run("groups-again", 4, resumed(groups, in_groups)) / "checkpoint-10.h5",
                         in_groups / "checkpoint-10.h5"));
  // from shards to a whole and back
  const auto all = losses(whole / "run.h5", 1, 10);
  const std::vector<double> last(all.begin() + 5, all.end());
  check_losses(losses(run("full-to-none", 1, resumed({}, shards)) / "run-from-5.h5", 6, 5), last);
  check_losses(
      losses(run("none-to-full", 3, resumed({"comm.sharding=full", "batch.global=9"}, whole)) / "run-from-5.h5", 6, 5),
      losses(run("none-to-none", 3, resumed({"batch.global=9"}, whole)) / "run-from-5.h5", 6, 5));
  check_losses(losses(run("groups-to-full", 2, resumed(full, in_groups)) / "run-from-5.h5", 6, 5), last);
  auto model = read_tensors(whole / "checkpoint-10.h5", "/model"),
       of_shards = read_tensors(shards / "checkpoint-10.h5", "/model");
  leave_out_key_biases(model);
  leave_out_key_biases(of_shards);
  CHECK(largest_distance(of_shards, model) < 1e-4);
}

TEST_CASE("what a step waits for weights is communication, and adds up") {
  const Runs run({"model.depth=3", "run.steps=8", "checkpoint.at_end=false"});
  const runlog::Run log = runlog::read(run("full", 2, {"comm.sharding=full"}) / "run.h5");
  CHECK(log.info.gathers_weights);
  REQUIRE(log.steps.size() == 8);
  for (const auto& s : log.steps) {
    CHECK(s.gather_s > 0);
    CHECK(s.exposed_gather_s >= 0);
    CHECK(s.comm_s >= s.gather_s);
    CHECK(s.exposed_comm_s >= s.exposed_gather_s);
    CHECK(s.gathered_bytes > s.reduced_bytes);  // one of three blocks is gathered twice
    CHECK(s.reduced_bytes == Approx(4 * 0.5 * static_cast<double>(log.info.parameters)).epsilon(0.02));
    CHECK(s.data_s + s.forward_s + s.backward_s + s.exposed_comm_s + s.optimizer_s <= s.step_time_s + 1e-3);
  }
  const runlog::Run whole = runlog::read(run("none", 2, {}) / "run.h5");
  CHECK_FALSE(whole.info.gathers_weights);
  CHECK(std::isnan(whole.steps[0].gather_s));
}

TEST_CASE("what full sharding does not do is refused in one line") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const auto refused = [&](int ranks, const Settings& settings, const std::vector<std::string>& parts) {
    check_refused(run_command(train_command(ranks, file, settings)), parts, folder.path() / "out");
  };
  refused(0, {"comm.shard_group=2"}, {"comm.shard_group = 2", "comm.sharding = \"none\""});
  refused(0, {"comm.sharding=full", "comm.shard_group=2"}, {"comm.shard_group = 2", "does not divide 1 rank"});
  refused(0, {"comm.sharding=full", "comm.shard_group=1"}, {"comm.shard_group = 1"});
  refused(0, {"comm.sharding=full", "log.noise_scale=true"}, {"log.noise_scale"});
  refused(0, {"comm.sharding=zero3"}, {"did you mean 'full'"});
  refused(0, {"comm.sharding=full", "objective.kind=consistency", "objective.teacher=x.h5"}, {"objective.kind"});
}

TEST_CASE("a run in shards is replayed in shards, and its compute without them") {
  const Runs run({"checkpoint.at_end=false"});
  const fs::path log = run("full", 2, {"comm.sharding=full"}) / "run.h5";
  for (const bool in_shards : {true, false}) {
    const fs::path out = run.directory(in_shards ? "shards" : "whole");
    const CommandResult result = run_command(
        mpirun(2, fmt::format("{} replay {} --directory {} --compute-scale 40 --steps 5 --stragglers off {}",
                              GPUMONTH_BINARY, log.string(), out.string(), in_shards ? "" : "--sharding none")));
    INFO(result.err);
    if (result.err.find("it is no replay") != std::string::npos) continue;  // a busy machine
    REQUIRE(result.exit_code == 0);
    const runlog::Run replayed = runlog::read(out / "run.h5");
    CHECK(replayed.info.gathers_weights == in_shards);
    CHECK(replayed.info.config_toml.find(fmt::format("sharding = \"{}\"", in_shards ? "full" : "none")) !=
          std::string::npos);
  }
}

/// Starts a training in shards, sends `signal_name` to one of its ranks while it trains, and waits for its end.
CommandResult train_and_signal(const Runs& run, const char* signal_name) {
  const std::string command = train_command(2, run.file(),
                                            {"comm.sharding=full", "run.steps=1000000", "comm.watchdog_s=2",
                                             "run.directory=" + run.directory("lost").string()});
  return run_command(fmt::format(
      "({0}) & job=$!; for try in $(seq 300); do [ -e {1} ] && break; sleep 0.1; done; sleep 1; "
      "victim=$(pgrep -f '^{2} train {3}' | tail -1); kill -{4} $victim; wait $job; code=$?; kill -KILL $victim 2>/dev/null; "
      "exit $code",
      command, (run.directory("lost") / "run.h5").string(), GPUMONTH_BINARY, run.file().string(), signal_name));
}

TEST_CASE("a rank that is lost among the gathers ends the job with a message") {
  const Runs run({});
  const CommandResult stopped = train_and_signal(run, "STOP");
  INFO(stopped.err);
  CHECK(stopped.exit_code != 0);
  CHECK_THAT(stopped.err, contains("not done after 2 s") && contains("no answer from rank 1"));
}

TEST_CASE("so does one that is killed") {
  const Runs run({});
  const CommandResult killed = train_and_signal(run, "KILL");
  INFO(killed.err);
  CHECK(killed.exit_code != 0);
  CHECK_THAT(killed.err, contains("signal 9"));
}

TEST_CASE("a model that does not fit one rank's memory trains on four in shards") {
  // 38 million parameters: 720 MiB of state whole, a quarter of that in shards and 9 MiB of room, which all ranks map.
  // The limit is on a process's own data, as a build with CUDA maps gigabytes of libraries before it allocates anything.
  const Settings big = {"model.hidden_size=256", "model.depth=32", "model.num_heads=4",
                        "run.steps=2",           "batch.global=4", "checkpoint.every_steps=1"};
  const Runs run(big);
  const auto limited = [&](int ranks, const std::string& sharding) {
    Settings settings = big;
    settings.push_back("comm.sharding=" + sharding);
    settings.push_back("run.directory=" + run.directory(sharding).string());
    const std::string alone = train_command(0, run.file(), settings);
    const std::string command = fmt::format("sh -c 'ulimit -d 600000; exec {}'", [&] {
      std::string text = alone;
      std::erase(text, '\'');
      return text;
    }());
    return run_command(ranks > 0 ? mpirun(ranks, command) : command);
  };
  const CommandResult alone = limited(0, "none");
  CHECK(alone.exit_code == 2);
  CHECK_THAT(alone.err, contains("memory") && contains("comm.sharding = \"full\""));
  const CommandResult four = limited(4, "full");
  INFO(four.err);
  CHECK(four.exit_code == 0);
  CHECK_THAT(four.out, contains("done: 2 steps"));
}

}  // namespace
