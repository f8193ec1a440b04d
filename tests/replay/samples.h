// A run whose every time is known: what a recording of it must say.
#pragma once

#include "base/bucket_plan.h"
#include "base/config.h"
#include "model/gradient_segments.h"
#include "model/parameters.h"
#include "runlog/record.h"
#include "tests/budget/samples.h"

namespace gpumonth::replay::samples {

constexpr double kBucketMib = 0.05;

inline model::ModelConfig model() {
  model::ModelConfig m;
  m.input_size = 8;
  m.hidden_size = 48;
  m.depth = 3;
  m.num_heads = 3;
  m.num_classes = 10;
  return m;
}

inline std::string config_toml(model::ModelConfig m, double bucket_mib = kBucketMib) {
  config::Table root;
  std::string wire = "fp32", name = "sample", gone = "x";
  root.table("run").field("name", name);
  root.table("run").field("a_key_of_another_version", gone);
  model::declare(root.table("model"), m);
  root.table("comm").field("bucket_mib", bucket_mib);
  root.table("comm").field("wire", wire);
  root.table("of_another_version").field("key", gone);
  return config::to_toml(root);
}

inline std::vector<Segment> segments() { return model::gradient_segments(model(), model::ParameterTable(model())); }

inline std::vector<Bucket> plan() { return plan_buckets(segments(), static_cast<std::int64_t>(kBucketMib * 1048576)); }

/// Step i (3 of warm-up, then steady): data 1, forward 10 + i/100, backward 30, update 5, exposed 2, other 0.5 ms; `batch`
/// samples a rank. Every tenth step's bucket k of n is ready after (k + 1) / n of backward.
inline runlog::Run run(int ranks = 2, int steps = 43, std::int64_t batch = 4) {
  runlog::Run r = tests::make_run(0.3, ranks, 0);
  r.info.backend = "cuda";  // whose ranks update all for themselves
  r.info.config_toml = config_toml(model());
  r.info.parameters = model::ParameterTable(model()).count();
  const std::vector<Bucket> buckets = plan();
  for (int i = 1; i <= steps; ++i) {
    runlog::StepRecord s;
    s.step = i;
    s.phase = i <= 3 ? runlog::Phase::warm_up : runlog::Phase::steady;
    s.data_s = 1e-3;
    s.forward_s = 10e-3 + 1e-5 * i;
    s.backward_s = 30e-3;
    s.optimizer_s = 5e-3;
    s.exposed_comm_s = ranks > 1 ? 2e-3 : 0;
    s.step_time_s = s.data_s + s.forward_s + s.backward_s + s.optimizer_s + s.exposed_comm_s + 0.5e-3;
    s.samples = batch * ranks;
    s.tokens = s.samples * 16;
    s.model_flops = s.hardware_flops = 1e9;
    r.steps.push_back(s);
    if (i % 10 != 0) continue;
    const double begin_s = s.data_s + s.forward_s;
    for (std::size_t k = 0; k < buckets.size(); ++k) {
      const double ready_s = begin_s + s.backward_s * static_cast<double>(k + 1) / static_cast<double>(buckets.size());
      r.buckets.push_back({i, static_cast<int>(k), 4 * buckets[k].range.count, ready_s, ready_s, ready_s + 1e-3});
    }
  }
  return r;
}

}  // namespace gpumonth::replay::samples
