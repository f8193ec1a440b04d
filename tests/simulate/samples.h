// Clusters, jobs and run logs whose times a reader can add up.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/config.h"
#include "model/config.h"
#include "model/flops.h"
#include "model/parameters.h"
#include "runlog/writer.h"
#include "simulate/simulation.h"

namespace gpumonth::tests {

inline simulate::Quantity quantity(double value) { return {value, "1", "assumed", "test"}; }

/// Links without latency; a between of 1 GB/s, NVLink-like inside.
inline simulate::Cluster sample_cluster(int gpus, int hosts) {
  simulate::Cluster c;
  c.name = "sample";
  c.hosts = quantity(hosts);
  c.gpus_per_host = quantity(gpus);
  c.inside = {quantity(100e9), quantity(1), quantity(0)};
  c.between = {quantity(1e9), quantity(1), quantity(0)};
  c.hosts_per_leaf = quantity(hosts);
  c.oversubscription = quantity(1);
  c.algorithm = simulate::Algorithm::ring;
  return c;
}

/// Three buckets of these bytes, ready after a third, two thirds and the whole of 0.3 s of backward. The step alone takes
/// 0.01 + 0.1 + 0.3 + 0.02 + 0.005 s.
inline simulate::Job sample_job(const simulate::Cluster& cluster, int ranks, std::int64_t bytes, int steps = 2) {
  simulate::Job job;
  job.cluster = cluster;
  job.shape = simulate::shape_of(cluster, ranks);
  job.bucket_bytes.assign(3, bytes);
  job.steps.assign(static_cast<std::size_t>(steps), {0.01, 0.1, 0.3, 0.02, 0.005});
  for (int b = 0; b < 3; ++b) job.passes.backward.push_back({replay::PassEvent::Kind::ready, b, (b + 1) / 3.0});
  job.factors.assign(static_cast<std::size_t>(steps) * static_cast<std::size_t>(ranks), 1);
  return job;
}
constexpr double kSampleAlone_s = 0.435;

inline model::ModelConfig sample_model() {
  model::ModelConfig m;
  m.input_size = 8, m.patch_size = 2, m.in_channels = 4, m.hidden_size = 64, m.depth = 2, m.num_heads = 2;
  return m;
}

/// 40 steady steps of 8 samples a rank on so many ranks of one host, all alike: 0.1 ms of data, 1 of forward, 2 of
/// backward, 0.3 of update, 0.1 of nothing in particular. Every odd rank is 2 % slower, every even one 2 % faster.
inline runlog::Run sample_run(int ranks) {
  runlog::Run run;
  auto m = sample_model();
  config::Table root;
  model::declare(root.table("model"), m);
  run.path = "sample.h5";
  run.info.config_toml = config::to_toml(root);
  run.info.model_name = "sample";
  run.info.world_size = ranks;
  run.info.global_batch = 8 * ranks;
  run.info.parameters = model::ParameterTable(m).count();
  run.info.backend = "cpu", run.info.transport = ranks > 1 ? "mpi" : "self", run.info.dtype = "fp32";
  run.info.device_name = "Some CPU", run.info.start_time_utc = "2024-03-15T12:00:00Z";
  run.info.hostnames.assign(static_cast<std::size_t>(ranks), "node0");
  for (int i = 1; i <= 40; ++i) {
    runlog::StepRecord s;
    s.step = i, s.phase = runlog::Phase::steady;
    s.step_time_s = 0.0035, s.start_time_s = 0.0035 * (i - 1);
    s.data_s = 0.0001, s.forward_s = 0.001, s.backward_s = 0.002, s.optimizer_s = 0.0003;
    s.samples = 8 * ranks, s.tokens = s.samples * m.tokens();
    s.model_flops = s.hardware_flops = static_cast<double>(model::train_flops(m)) * static_cast<double>(s.samples);
    run.steps.push_back(s);
    run.rank_steps.push_back(i);
    for (int r = 0; r < ranks; ++r) run.rank_step_time_s.push_back(static_cast<float>(0.0034 * (r % 2 ? 1.02 : 0.98)));
  }
  return run;
}

/// What `gpumonth comm` logs of all-reduces that take exactly `seconds(bytes)`, 8 B to 64 MiB.
template <class Seconds>
runlog::Run comm_log(const std::string& path, int gpus, int hosts, const Seconds& seconds) {
  runlog::Run run;
  run.path = path;
  run.info.world_size = gpus * hosts;
  for (int r = 0; r < gpus * hosts; ++r) run.info.hostnames.push_back("node" + std::to_string(r / gpus));
  run.comm.measured = "made up";
  for (std::int64_t bytes = 8; bytes <= 64 << 20; bytes *= 2) {
    const double s = seconds(static_cast<double>(bytes));
    run.comm.rows.push_back({bytes, 10, s, s, s, 1});
  }
  return run;
}

}  // namespace gpumonth::tests
