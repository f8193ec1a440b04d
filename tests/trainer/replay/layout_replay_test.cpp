// Trainings in shards and of ranks that share samples, and their replays: the same bytes, from a log of the same layout and from one
// of whole weights and samples; and no pass is shorter than recorded, whatever it waits for.
#include <fmt/format.h>

#include "model/communication.h"
#include "tests/trainer/replay/source.h"
#include "trainer/backend.h"
#include "trainer/loop.h"
#include "trainer/replay/replayed_step.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains, gpumonth::tests::ranks, gpumonth::tests::transport;
using gpumonth::tests::Source, gpumonth::tests::SharedFolder, gpumonth::tests::least_of, gpumonth::tests::check_time;
namespace samples = gpumonth::replay::samples;

namespace {

using S = runlog::StepRecord;

struct Layout {
  std::string sharding;
  int shard_group, sequence_parallel, accumulate;
  std::string recompute;

  std::string name() const {
    return fmt::format("{}-{}-{}-{}-{}", sharding, shard_group, sequence_parallel, accumulate, recompute);
  }
};

const Layout kWhole{"none", 0, 1, 1, "none"};

std::vector<Layout> layouts() {
  if (ranks().size() == 1) return {{"none", 0, 1, 2, "none"}};
  std::vector<Layout> all = {
      {"full", 0, 1, 1, "none"}, {"full", 0, 1, 2, "full"}, {"none", 0, 2, 2, "linear"}, {"full", 0, 2, 1, "full"}};
  if (ranks().size() == 4) {
    all.push_back({"full", 2, 1, 2, "none"});
    all.push_back({"full", 2, 4, 1, "none"});
  }
  return all;
}

/// 4 samples a rank, or group of ranks that share them.
RunConfig training(const std::filesystem::path& folder, const Layout& l) {
  RunConfig c;
  c.model = samples::model();
  c.model.hidden_size = 64;
  c.model.num_heads = 4;
  c.run.directory = (folder / l.name()).string();
  c.run.steps = 4;
  c.run.dtype = "fp32";
  c.run.threads = 1;
  c.run.recompute = l.recompute;
  c.run.sequence_parallel = l.sequence_parallel;
  c.batch.global = 4 * ranks().size() / l.sequence_parallel;
  c.batch.accumulate = l.accumulate;
  c.comm.transport = transport().name();
  c.comm.sharding = l.sharding;
  c.comm.shard_group = l.shard_group;
  c.comm.bucket_mib = 0.05;
  c.log.measure_gemm_peak = false;
  c.log.steady_after = 1;
  c.checkpoint.at_end = false;
  return c;
}

std::string trained(const std::filesystem::path& folder, const Layout& layout) {
  const RunConfig config = training(folder, layout);
  const ResolvedRun resolved = resolve(config, transport());
  const auto step = make_dit_step(config, resolved, transport());
  return train(config, resolved, transport(), *step).run_log;
}

std::string replayed(const std::filesystem::path& folder, const std::string& log, const Layout& layout,
                     const replay::WhatIf& changes) {
  ReplayOptions o;
  o.logs = {log};
  o.directory = (folder / ("replayed-" + layout.name())).string();
  o.steps = 4;
  o.changes = changes;
  o.most_late = INFINITY;  // this machine may be busy
  const std::string file = replay_run(o, transport()).run.run_log;
  ranks().barrier();
  return file;
}

/// What rank 0 says that it sent in the last step. The same code counts them.
void check_sent_alike(const std::string& replayed, const std::string& trained) {
  if (ranks().rank() != 0) return;
  const runlog::Run log = runlog::read(replayed), source = runlog::read(trained);
  CHECK(log.info.origin == runlog::Origin::replayed);
  CHECK(log.info.gathers_weights == source.info.gathers_weights);
  CHECK(log.info.sequence_ranks == source.info.sequence_ranks);
  CHECK(log.info.global_batch == source.info.global_batch);
  CHECK(log.steps.back().hardware_flops == source.steps.back().hardware_flops);
  if (source.info.gathers_weights) {
    CHECK(source.steps.back().gathered_bytes > 0);
    CHECK(log.steps.back().gathered_bytes == source.steps.back().gathered_bytes);
    CHECK(log.steps.back().reduced_bytes == source.steps.back().reduced_bytes);
    CHECK(log.steps.back().gather_s > 0);
  }
  CHECK(log.steps.back().exchanged_bytes == source.steps.back().exchanged_bytes);
  CHECK((log.steps.back().exchange_s > 0) == (source.info.sequence_ranks > 1));
}

TEST_CASE("a replay in shards, or with shared samples, sends what the training sent") {
  const SharedFolder folder, of_whole;
  for (const Layout& layout : layouts()) {
    INFO(layout.name());
    const std::string log = trained(folder.path, layout);
    ranks().barrier();
    check_sent_alike(replayed(folder.path, log, layout, {}), log);
    Layout whole = kWhole;
    whole.recompute = layout.recompute;
    const std::string from = (of_whole.path / whole.name() / "run.h5").string();
    const bool is_there = std::filesystem::exists(from);
    ranks().barrier();
    if (!is_there) trained(of_whole.path, whole);
    ranks().barrier();
    check_sent_alike(replayed(of_whole.path, from, layout,
                              {.sharding = layout.sharding,
                               .shard_group = layout.shard_group,
                               .accumulate = layout.accumulate,
                               .sequence_parallel = layout.sequence_parallel}),
                     log);
  }
}

/// `changes` of a log of 46 ms steps, that of one of `share` ranks that would share samples if that is above 1: no pass is
/// shorter than recorded, without what it waited.
void check_passes(const replay::WhatIf& changes, int share = 1) {
  INFO(replay::to_text(changes) << ", " << share);
  runlog::Run run = samples::run(share > 1 ? 1 : 4);
  run.info.sequence_share = share;
  model::ModelConfig model = samples::model();
  model.hidden_size = 64;
  model.num_heads = 4;
  run.info.config_toml = samples::config_toml(model);
  run.info.parameters = model::ParameterTable(model).count();
  run.buckets.clear();
  const Source source(run);
  ReplayOptions options = source.options();
  options.changes = changes;
  options.changes.stragglers = false;
  replay_run(options, transport());
  if (ranks().rank() != 0) return;
  const replay::Recording recording = replay::record({run});
  const replay::ReplayedSteps steps(recording, options.changes, options.seed);
  double recorded_s = INFINITY;
  const runlog::Run log = source.log();
  CHECK(log.info.sequence_share == 1);
  CHECK((log.steps.back().exchange_s > 0) == (share > 1 || changes.sequence_parallel > 1));
  for (const S& s : log.steady())
    recorded_s = std::min(recorded_s, steps.drawn(s.step).forward_s + steps.drawn(s.step).backward_s);
  check_time(least_of(log, [](const S& s) { return s.forward_s + s.backward_s - s.exchange_s; }), recorded_s);
  check_time(least_of(log, [](const S& s) { return s.step_time_s - s.exposed_comm_s - s.exchange_s; }),
             recorded_s + 5e-3 / (changes.sharding == "full" ? ranks().size() : 1) + 1e-3);
}

TEST_CASE("passes take their recorded time beside what they wait for weights and all-to-alls") {
  check_passes({.accumulate = 2});
  if (ranks().size() == 1) return;
  check_passes({.sharding = "full", .accumulate = 2});
  check_passes({.sequence_parallel = 2});
  check_passes({}, 2);
}

TEST_CASE("half of the bytes of gradients travel in bf16, and all of the weights'") {
  if (ranks().size() == 1) return;
  const SharedFolder folder;
  const Layout layout{"full", 0, 1, 1, "none"};
  const std::string log = trained(folder.path, layout);
  ranks().barrier();
  const std::string half = replayed(folder.path, log, layout, {.reduce_dtype = "bf16"});
  if (ranks().rank() != 0) return;
  const S trained = runlog::read(log).steps.back(), sent = runlog::read(half).steps.back();
  CHECK(sent.gathered_bytes == trained.gathered_bytes);
  CHECK(sent.reduced_bytes == trained.reduced_bytes / 2);
}

TEST_CASE("a layout that does not lie on the ranks is refused") {
  const Source source(samples::run(4));
  const auto refused = [&](const replay::WhatIf& changes, const std::string& says) {
    ReplayOptions options = source.options();
    options.changes = changes;
    CHECK_THROWS_WITH(replay_run(options, transport()), contains(says));
  };
  const int more = 2 * ranks().size();
  refused({.sequence_parallel = 3 * more}, "--sequence-parallel");
  if (ranks().size() > 1) refused({.sharding = "full", .shard_group = more}, "does not divide");
  refused({.shard_group = 2}, "--shard-group 2 is of --sharding full");
  refused({.accumulate = 3}, "are not 3 micro-batches");
  ranks().barrier();
  CHECK_FALSE(std::filesystem::exists(source.folder / "out"));
}

}  // namespace
