#include "replay/recording.h"

#include "base/error.h"
#include "replay/replayed_steps.h"
#include "tests/catch.h"
#include "tests/replay/samples.h"

using namespace gpumonth;
using namespace gpumonth::replay;
using gpumonth::tests::contains;

namespace {

template <class Change>
std::string refused(Change&& change) {
  std::vector<runlog::Run> logs = {samples::run(), samples::run()};
  logs[1].path = "other.h5";
  change(logs);
  try {
    record(logs);
  } catch (const UserError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a recording holds the steady steps without their communication") {
  const runlog::Run run = samples::run();
  const Recording r = record({run});
  REQUIRE(r.logs.size() == 1);
  REQUIRE(r.logs[0].steps.size() == 40);
  for (int i = 4; i <= 43; ++i) {
    const StepTimes& s = r.logs[0].steps[static_cast<std::size_t>(i) - 4];
    CHECK(s.data_s == 1e-3);
    CHECK(s.forward_s == 10e-3 + 1e-5 * i);
    CHECK(s.backward_s == 30e-3);
    CHECK(s.optimizer_s == 5e-3);
    CHECK(s.other_s == Approx(0.5e-3));
  }
  CHECK(r.logs[0].mean.forward_s == Approx(10e-3 + 1e-5 * (4 + 43) / 2.0));
  CHECK(r.logs[0].batch_per_rank == 4);
  CHECK(r.logs[0].rank0 == 1);
  CHECK(r.spread.persistent == 0);
  CHECK(r.config.model.hidden_size == 48);
  CHECK(r.config.bucket_mib == samples::kBucketMib);
  CHECK(r.config.name == "sample");
  CHECK(r.paths == std::vector<std::string>{run.path});
  CHECK_FALSE(r.ready.estimated);
}

TEST_CASE("rank 0 may be a slow one") {
  runlog::Run run = samples::run();
  for (int i = 4; i <= 43; ++i) {
    run.rank_steps.push_back(i);
    run.rank_step_time_s.insert(run.rank_step_time_s.end(), {0.055f, 0.045f});
  }
  const Recording r = record({run});
  CHECK(r.logs[0].rank0 == Approx(1.1));
  CHECK(r.spread.persistent == Approx(std::sqrt(2 * 0.1 * 0.1)));  // of two ranks at +-10 %, n - 1
  CHECK(r.spread.per_step == Approx(0).margin(1e-6));
}

namespace {

/// samples::run() of so many ranks, as its configuration would say with these values.
template <class Change>
runlog::Run communicating(int ranks, Change&& change) {
  runlog::Run run = samples::run(ranks);
  RecordedConfig c = recorded_config(run);
  change(c);
  run.info.config_toml = with_communication(run.info.config_toml, c);
  return run;
}

}  // namespace

TEST_CASE("a recording of full sharding has the passes without what they waited for weights, and no bucket times") {
  runlog::Run run = communicating(4, [](RecordedConfig& c) { c.sharding = "full", c.shard_group = 2; });
  run.info.gathers_weights = true;
  const Recording r = record({run});
  CHECK(r.config.sharding == "full");
  CHECK(r.config.shard_group == 2);
  CHECK(r.logs[0].steps[0].backward_s == 30e-3);  // the columns have them so
  CHECK(r.logs[0].steps[0].other_s == Approx(0.5e-3));
  CHECK(r.ready.estimated);
  CHECK_THAT(r.ready.source, contains("waited for weights"));
  WhatIf whole;
  whole.sharding = "full";  // of all ranks, as no group is given
  CHECK(update_scale(r, changed(r.config, whole), 8, false) == 2.0 / 8);
  CHECK(update_scale(r, r.config, 8, false) == 1);
  CHECK(changed(r.config, {}).shard_group == 2);
  CHECK(changed(r.config, whole).shard_group == 0);
  CHECK_THAT(refused([&](auto& logs) { logs[1] = run; }), contains("comm.shard_group is without full sharding and 2"));
  CHECK(record({communicating(1, [](RecordedConfig& c) { c.sharding = "full"; })}).config.sharding == "none");
}

TEST_CASE("the update is divided over those that share it") {
  const auto scale = [](const runlog::Run& run, const std::string& sharding, int ranks, int hosts) {
    WhatIf changes;
    changes.sharding = sharding;
    const Recording r = record({run});
    return update_scale(r, changed(r.config, changes), ranks, hosts == 1);
  };
  runlog::Run run = samples::run(4);
  run.info.backend = "cpu";
  run.info.hostnames = {"a", "a", "a", "a"};
  CHECK(scale(run, "none", 4, 1) == 1);  // CPU ranks of one host hold the state in common
  CHECK(scale(run, "none", 8, 1) == 4.0 / 8);
  CHECK(scale(run, "none", 8, 2) == 4);
  CHECK(scale(run, "optimizer", 8, 2) == 4.0 / 8);
  run.info.hostnames = {"a", "a", "b", "b"};
  CHECK(scale(run, "none", 8, 2) == 1);
  CHECK(scale(run, "none", 2, 1) == 1.0 / 2);
  run.info.backend = "cuda";
  run.info.hostnames = {"a", "a", "a", "a"};
  CHECK(scale(run, "none", 8, 1) == 1);
  CHECK(scale(run, "optimizer", 8, 1) == 1.0 / 8);
}

TEST_CASE("a recording of ranks that share samples has the passes without their all-to-alls") {
  runlog::Run run = communicating(4, [](RecordedConfig& c) { c.sequence_parallel = 2; });
  run.info.sequence_ranks = 2;
  for (auto& s : run.steps) s.exchange_s = 6e-3;
  const Recording r = record({run});
  CHECK(r.config.sequence_parallel == 2);
  CHECK(r.logs[0].batch_per_rank == 2 * 4);
  CHECK(r.logs[0].steps[0].forward_s == Approx(10e-3 + 4e-5 - 3e-3));
  CHECK(r.logs[0].steps[0].backward_s == Approx(30e-3 - 3e-3));
  CHECK_THAT(refused([&](auto& logs) { logs[1] = run; }), contains("run.sequence_parallel is 1 and 2"));
  // three blocks, one of them computed again: 12 tensors in forward, 12 + 4 in backward
  const std::string none = "[run]\n";
  run.info.config_toml.replace(run.info.config_toml.find(none), none.size(), none + "recompute = \"full\"\n");
  CHECK(record({run}).logs[0].steps[0].forward_s == Approx(10e-3 + 4e-5 - 6e-3 * 12 / 28));
}

TEST_CASE("micro-batches: gradients are final in the last one") {
  runlog::Run run = communicating(2, [](RecordedConfig& c) { c.accumulate = 2; });
  const std::vector<double> as_logged = record({run}).ready.share;
  // bucket k of n is ready after (k + 1) / n of all of backward in the log: none before the last half
  CHECK(as_logged.front() >= 0.5);
  CHECK(as_logged.back() > 0.9);
  run.buckets.clear();
  const std::vector<double> estimated = record({run}).ready.share;
  const std::vector<double> of_last = shares_of_last(estimated, 2);
  runlog::Run once = samples::run(2);
  once.buckets.clear();
  const std::vector<double> of_once = record({once}).ready.share;
  REQUIRE(of_last.size() == of_once.size());
  for (std::size_t s = 0; s < of_once.size(); ++s) {
    CHECK(estimated[s] == Approx(0.5 + of_once[s] / 2));
    CHECK(of_last[s] == Approx(of_once[s]));
  }
  CHECK_THAT(refused([&](auto& logs) { logs[1] = run; }), contains("batch.accumulate is 1 and 2"));
}

TEST_CASE("what is no recording is refused") {
  CHECK(refused([](auto&) {}) == "accepted");
  CHECK_THAT(refused([](auto& logs) { logs.clear(); }), contains("no log to replay"));
  CHECK_THAT(refused([](auto& logs) { logs[1].steps.resize(3); }), contains("other.h5") && contains("no steady steps"));
  CHECK_THAT(refused([](auto& logs) {
               for (auto& s : logs[1].steps) s.backward_s = 0;
             }),
             contains("other.h5") && contains("no time of backward"));
  CHECK_THAT(refused([](auto& logs) { logs[0].info.config_toml = "[run]\nname = \"x\"\n"; }),
             contains("run-2.h5") && contains("no [model]"));
  CHECK_THAT(refused([](auto& logs) { logs[1].info.config_toml = "[model]\ndepth = \"three\"\n"; }),
             contains("other.h5: config_toml") && contains("model.depth"));
  CHECK_THAT(refused([](auto& logs) { logs[0].info.parameters += 1; }), contains("parameters"));
  CHECK_THAT(refused([](auto& logs) { logs[1].info.device_name = "H100"; }),
             contains("device_name is Some CPU and H100"));
  CHECK_THAT(refused([](auto& logs) { logs[1].info.threads_per_rank = 7; }), contains("threads_per_rank"));
  CHECK_THAT(refused([](auto& logs) { logs[1].info.origin = runlog::Origin::simulated; }),
             contains("other.h5: is simulated"));
}

TEST_CASE("keys of other versions do not matter, and those that are missing have their defaults") {
  runlog::Run run = samples::run();
  REQUIRE_THAT(run.info.config_toml, contains("a_key_of_another_version") && contains("[of_another_version]"));
  const RecordedConfig c = recorded_config(run);
  CHECK(c.recompute == "none");
  CHECK(c.sharding == "none");
  CHECK(c.model.num_classes == 10);
  CHECK(c.more_forwards() == 0);
  run.info.config_toml += "[objective]\nkind = \"consistency\"\nguidance = 1\nteacher = \"t.h5\"\n";
  CHECK(recorded_config(run).more_forwards() == 2);
}

TEST_CASE("a configuration says how gradients travel now, and nothing else of it changes") {
  RecordedConfig c;
  c.bucket_mib = 16, c.wire = "bf16", c.sharding = "optimizer";
  CHECK(with_communication("[comm]\nwire = \"fp32\"\nwatchdog_s = 300.0\n\n[log]\nwire = 1\n", c) ==
        "[comm]\nwire = \"bf16\"\nwatchdog_s = 300.0\n\nbucket_mib = 16\nsharding = \"optimizer\"\n[log]\nwire = 1\n");
  CHECK(with_communication("[run]\nname = \"x\"\n", c) ==
        "[run]\nname = \"x\"\n\n[comm]\nbucket_mib = 16\nsharding = \"optimizer\"\nwire = \"bf16\"\n");
}
