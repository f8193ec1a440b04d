// run.sequence_parallel: ranks that share samples train as one rank does; what they cannot share is refused, and a rank that
// is lost in an all-to-all ends the job.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <future>
#include <sstream>
#include <thread>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

using Settings = std::vector<std::string>;

Settings with(Settings settings, const Settings& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

runlog::Run run_of(int ranks, const fs::path& file, const fs::path& directory, const Settings& settings) {
  train(ranks, file, with(settings, {"run.directory=" + directory.string(), "run.steps=20"}));
  return runlog::read(directory / "run.h5");
}

double largest_difference(const runlog::Run& a, const runlog::Run& b) {
  if (a.steps.size() != b.steps.size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < b.steps.size(); ++i)
    largest = std::max({largest, std::abs(a.steps[i].loss / b.steps[i].loss - 1),
                        0.1 * std::abs(a.steps[i].grad_norm / b.steps[i].grad_norm - 1)});
  return largest;
}

/// Values that a rank sends in a step: per block q, k, v and the output, forward and backward, of its tokens and all heads.
std::int64_t values_sent(const runlog::Run& run, std::int64_t samples, std::int64_t tokens, std::int64_t again = 0) {
  constexpr std::int64_t kDepth = 4, kWidth = 48;
  const std::int64_t ranks = run.info.sequence_ranks;
  return samples * tokens / ranks * kWidth / ranks * (ranks - 1) * (8 * kDepth + again);
}

/// Four blocks with four heads, so that two are computed again where anything is.
const Settings kModel = {"model.num_heads=4", "model.depth=4"};

void check_agreement(const Settings& model, const std::vector<std::pair<int, int>>& ranks_and_shared,
                     std::int64_t tokens) {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const Settings settings = with(kModel, model);
  const runlog::Run alone = run_of(0, file, folder.path() / "alone", settings);
  for (const auto& [ranks, shared] : ranks_and_shared) {
    INFO(ranks << " ranks, " << shared << " share a sample");
    const fs::path directory = folder.path() / fmt::format("{}-{}", ranks, shared);
    const runlog::Run run =
        run_of(ranks, file, directory, with(settings, {fmt::format("run.sequence_parallel={}", shared)}));
    CHECK(largest_difference(run, alone) < 1e-6);
    Tensors mine = read_tensors(directory / "checkpoint-20.h5", "/model"),
            theirs = read_tensors(folder.path() / "alone/checkpoint-20.h5", "/model");
    leave_out_key_biases(mine);
    leave_out_key_biases(theirs);
    CHECK(largest_distance(mine, theirs) < 1e-4);
    CHECK(run.info.sequence_ranks == shared);
    CHECK(run.info.world_size == ranks);
    CHECK(run.steps[5].samples == 8);
    CHECK(run.steps[5].tokens == 8 * tokens);
    CHECK(run.steps[5].model_flops == alone.steps[5].model_flops);
    for (const auto& step : run.steps) {
      CHECK(step.exchanged_bytes == 4 * values_sent(run, 8 * shared / ranks, tokens));
      CHECK(step.exchange_s > 0);
      CHECK(step.exchange_s < step.forward_s + step.backward_s);
    }
  }
}

TEST_CASE("ranks that share the tokens of images train as one rank does, also in groups") {
  check_agreement({}, {{2, 2}, {4, 4}, {4, 2}}, 16);
}

TEST_CASE("so they do with video, by lines of frames") { check_agreement({"model.frames=3"}, {{2, 2}, {4, 4}}, 48); }

TEST_CASE("so they do with video of patches that are frames long, by frames") {
  check_agreement({"model.frames=8", "model.temporal_patch_size=2"}, {{2, 2}, {4, 4}, {4, 2}}, 64);
}

TEST_CASE("micro-batches and recomputing are shared as well") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const runlog::Run alone = run_of(0, file, folder.path() / "alone", kModel);
  int number = 0;
  // two of four blocks are computed again: with "linear" their q, k and v, with "full" the output too
  for (const auto& [how, again] : {std::pair{std::string("linear"), 2 * 3}, {std::string("full"), 2 * 4}}) {
    const fs::path directory = folder.path() / fmt::format("{}", number++);
    const runlog::Run run = run_of(
        2, file, directory, with(kModel, {"run.sequence_parallel=2", "batch.accumulate=4", "run.recompute=" + how}));
    CHECK(largest_difference(run, alone) < 1e-6);
    CHECK(run.steps[3].exchanged_bytes == 4 * values_sent(run, 8, 16, again));
  }
}

TEST_CASE("bf16 values are half the bytes") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const Settings settings = with(kModel, {"run.dtype=bf16"});
  const runlog::Run alone = run_of(0, file, folder.path() / "alone", settings);
  const runlog::Run run = run_of(2, file, folder.path() / "two", with(settings, {"run.sequence_parallel=2"}));
  CHECK(run.steps[3].exchanged_bytes == 2 * values_sent(run, 8, 16));
  for (std::size_t i = 0; i < run.steps.size(); ++i)
    CHECK(run.steps[i].loss == Approx(alone.steps[i].loss).epsilon(5e-3));
}

TEST_CASE("a resume goes on bit for bit, and checkpoints are anybody's") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const auto directory = [&](const std::string& name) { return "run.directory=" + (folder.path() / name).string(); };
  const Settings shared = with(kModel, {"run.sequence_parallel=2"});
  train(4, file, with(shared, {directory("whole")}));
  const auto whole = losses(folder.path() / "whole/run.h5", 1, 10);
  train(4, file, with(shared, {directory("halves"), "run.steps=5"}));
  const std::string middle = "run.resume=" + (folder.path() / "halves/checkpoint-5.h5").string();
  train(4, file, with(shared, {directory("halves"), middle}));
  CHECK(losses(folder.path() / "halves/run-from-5.h5", 6, 5) == std::vector<double>(whole.begin() + 5, whole.end()));
  CHECK(same_checkpoints(folder.path() / "halves/checkpoint-10.h5", folder.path() / "whole/checkpoint-10.h5"));
  // one rank goes on from it, and two that share from a checkpoint of one
  const CommandResult alone = train(0, file, with(kModel, {directory("alone"), middle}));
  CHECK_THAT(alone.out, contains("note:") && contains("run.sequence_parallel") && contains("rounding"));
  const auto later = losses(folder.path() / "alone/run-from-5.h5", 6, 5);
  train(0, file, with(kModel, {directory("first"), "run.steps=5"}));
  train(2, file,
        with(shared, {directory("second"), "run.resume=" + (folder.path() / "first/checkpoint-5.h5").string()}));
  const auto second = losses(folder.path() / "second/run-from-5.h5", 6, 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(later[i] == Approx(whole[i + 5]).epsilon(1e-6));
    CHECK(second[i] == Approx(whole[i + 5]).epsilon(1e-6));
  }
}

TEST_CASE("what ranks cannot share is refused in one line") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const auto refused = [&](int ranks, const Settings& settings, const std::vector<std::string>& parts) {
    const CommandResult result = run_command(train_command(ranks, file, settings));
    INFO(result.err);
    CHECK(result.exit_code == 2);
    for (const std::string& part : parts) CHECK_THAT(result.err, contains(part));
    CHECK(names_in(folder.path() / "out").empty());
  };
  refused(0, {"run.sequence_parallel=2"},
          {"run.sequence_parallel = 2 does not divide 1 rank", "start a multiple of 2"});
  refused(0, {"run.sequence_parallel=3"}, {"3 ranks cannot share 2 heads: take 1 or 2"});
  refused(0, {"run.sequence_parallel=4", "model.num_heads=4", "model.input_size=12"},
          {"4 ranks cannot share 6 lines of patches: take 1 or 2"});
  refused(0, {"run.sequence_parallel=4", "model.num_heads=4", "model.frames=4", "model.temporal_patch_size=2"},
          {"4 ranks cannot share 2 frames of patches: take 1 or 2"});
  refused(3, {"run.sequence_parallel=2", "batch.global=6"}, {"run.sequence_parallel = 2 does not divide 3 ranks"});
  refused(4, {"run.sequence_parallel=2", "batch.global=7"},
          {"batch.global = 7 is not divisible by 2 groups of 2 ranks"});
  refused(2, {"run.sequence_parallel=2", "batch.accumulate=3"},
          {"batch.global = 8 is not divisible by 1 group of 2 ranks x batch.accumulate = 3"});
  refused(2, {"run.sequence_parallel=2", "log.noise_scale=true"}, {"log.noise_scale = false"});
  refused(2, {"run.sequence_parallel=2", "objective.kind=consistency", "objective.teacher=none.h5"},
          {"a distillation's samples are not shared"});
  refused(2, {"run.sequence_parallel_emulated=2"}, {"run.sequence_parallel_emulated = 2 measures one rank, alone"});
  refused(2, {"run.sequence_parallel_emulated=2", "run.sequence_parallel=2"}, {"set one of them to 1"});
  refused(0, {"run.sequence_parallel_emulated=2", "run.resume=none.h5"}, {"run.resume", "leave run.resume empty"});
}

TEST_CASE("one rank measures the share of one of several, which nobody takes for a training") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const CommandResult whole = train(0, file, with(kModel, {"run.directory=" + (folder.path() / "whole").string()}));
  const CommandResult result = train(0, file, with(kModel, {"run.sequence_parallel_emulated=4"}));
  CHECK_THAT(result.out, contains("one of 4 ranks' share") && contains("losses mean nothing"));
  CHECK_THAT(result.out, !contains("checkpoint-"));
  CHECK(names_in(folder.path() / "out") == std::vector<std::string>{"run.h5"});
  const fs::path log = folder.path() / "out/run.h5";
  const runlog::Run share = runlog::read(log, runlog::Kind::shares_too),
                    all = runlog::read(folder.path() / "whole/run.h5");
  CHECK(share.info.sequence_share == 4);
  CHECK(share.info.sequence_ranks == 1);
  REQUIRE(share.steps.size() == 10);
  CHECK(share.steps[3].model_flops == all.steps[3].model_flops / 4);
  CHECK(share.steps[3].hardware_flops == all.steps[3].hardware_flops / 4);
  CHECK(share.steps[3].tokens == all.steps[3].tokens / 4);
  const auto refused = [&](const std::string& command) {
    const CommandResult said = run_command(fmt::format("{} {}", GPUMONTH_BINARY, command));
    INFO(command << ": " << said.err);
    CHECK(said.exit_code == 2);
    CHECK_THAT(said.err, contains("one of 4 ranks' share of each sample"));
    CHECK(std::count(said.err.begin(), said.err.end(), '\n') == 1);
  };
  refused("fit " + log.string());
  refused("fit --loss " + log.string());
  refused("compare " + log.string() + " " + log.string());
  refused("budget " + (std::string(GPUMONTH_SOURCE_DIR) + "/configs/scenarios/sora-2024.toml") + " --runs " +
          log.string());
  const fs::path page = folder.path() / "page.html";
  const CommandResult reported =
      run_command(fmt::format("{} report {} -o {}", GPUMONTH_BINARY, log.string(), page.string()));
  INFO(reported.err);
  REQUIRE(reported.exit_code == 0);
  std::stringstream html;
  html << std::ifstream(page).rdbuf();
  CHECK_THAT(html.str(), contains("one of 4 ranks&#39; share") || contains("one of 4 ranks' share"));
}

TEST_CASE("logs of ranks that share samples, and of one such rank alone, are replayed on ranks that do") {
  const TemporaryFolder folder;
  const auto replay = [&](const std::string& out) {
    return fmt::format("{} replay {} --directory {} --steps 5 --compute-scale 40", GPUMONTH_BINARY,
                       (folder.path() / "out/run.h5").string(), (folder.path() / out).string());
  };
  for (const char* setting : {"run.sequence_parallel=2", "run.sequence_parallel_emulated=2"}) {
    INFO(setting);
    fs::remove_all(folder.path() / "out");
    train(std::string_view(setting).ends_with("emulated=2") ? 0 : 2, write_run_file(folder), with(kModel, {setting}));
    check_refused(run_command(replay("one")), {"--sequence-parallel 2", "does not divide 1 rank"},
                  folder.path() / "one");
    fs::remove_all(folder.path() / "two");
    const CommandResult two = run_command(mpirun(2, replay("two")));
    INFO(two.err);
    if (two.err.find("is no replay") != std::string::npos) continue;  // this machine is busy
    REQUIRE(two.exit_code == 0);
    const runlog::Run log = runlog::read(folder.path() / "two/run.h5");
    CHECK(log.info.sequence_ranks == 2);
    CHECK(log.steps.back().exchanged_bytes > 0);
  }
}

/// Processes that run gpumonth (not mpirun) on this run file.
std::vector<pid_t> ranks_of(const fs::path& run_file) {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::stringstream text;
    text << std::ifstream(entry.path() / "cmdline").rdbuf();
    const std::string command = text.str();
    if (command.rfind(GPUMONTH_BINARY, 0) == 0 && command.find(run_file.string()) != std::string::npos)
      pids.push_back(std::stoi(name));
  }
  return pids;
}

TEST_CASE("a rank that is killed or stopped among all-to-alls ends the job, with a message") {
  for (const int signal : {SIGKILL, SIGSTOP}) {
    INFO((signal == SIGKILL ? "killed" : "stopped"));
    const TemporaryFolder folder;
    const auto file = write_run_file(folder);
    auto job = std::async(std::launch::async, [&] {
      return run_command("timeout -k 5 60 " +
                         train_command(2, file,
                                       with(kModel, {"run.sequence_parallel=2", "run.steps=1000000",
                                                     "comm.watchdog_s=2", "comm.bucket_mib=16"})));
    });
    std::vector<pid_t> pids;
    for (int tries = 0; tries < 300 && (pids.size() < 2 || !fs::exists(folder.path() / "out/run.h5")); ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      pids = ranks_of(file);
    }
    REQUIRE(pids.size() == 2);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    kill(pids[1], signal);
    const CommandResult result = job.get();
    INFO(result.err);
    CHECK(result.exit_code != 0);
    CHECK(result.exit_code != 124);  // the 60 s were not needed
    CHECK(!result.err.empty());
    // stopped, it is missed in whichever all-to-all or all-reduce comes next
    if (signal == SIGSTOP) {
      CHECK_THAT(result.err, contains("no answer from rank"));
      CHECK_THAT(result.err,
                 contains("(attention) in step ") || contains("(gradients) in step ") || contains("(main) in step "));
    }
    for (const pid_t pid : ranks_of(file)) kill(pid, SIGKILL);
  }
}

}  // namespace
