#include "runlog/schema.h"

#include <array>

namespace gpumonth::runlog {

namespace {

using S = StepRecord;
constexpr std::array<Column<S>, 21> kStepColumns{{
    {"step", "1", "number of the optimizer step, 1 is the first; continues over a resume", &S::step},
    {"start_time_s", "s", "start of the step since start_time_unix_s", &S::start_time_s},
    {"step_time_s", "s", "wall time from the end of the previous step to the end of this one",
     &S::step_time_s},
    {"data_s", "s", "waiting for the batch", &S::data_s},
    {"forward_s", "s", "forward and loss", &S::forward_s},
    {"backward_s", "s", "backward compute, without exposed_comm_s", &S::backward_s},
    {"comm_s", "s", "the communication thread inside all-reduces", &S::comm_s},
    {"exposed_comm_s", "s", "what the step waited for communication", &S::exposed_comm_s},
    {"optimizer_s", "s", "clipping, AdamW, EMA, weight packing", &S::optimizer_s},
    {"samples", "samples", "global batch", &S::samples},
    {"tokens", "tokens", "samples x tokens per sample", &S::tokens},
    {"model_flops", "FLOP", "3 x forward, without recompute, over all ranks", &S::model_flops},
    {"hardware_flops", "FLOP", "model_flops and recompute, over all ranks", &S::hardware_flops},
    {"loss", "1", "mean over the global batch", &S::loss},
    {"grad_norm", "1", "L2 norm of the gradient before clipping", &S::grad_norm},
    {"learning_rate", "1", "AdamW step size", &S::learning_rate},
    {"phase", "1", "0 warm_up, 1 steady, 2 checkpoint (the step's time contains writing one)", &S::phase},
    {"energy_j", "J", "taken by rank 0's GPU since the step before; single short steps may read 0: add them up",
     &S::energy_j},
    {"power_w", "W", "of rank 0's GPU while it worked on the step", &S::power_w},
    {"sm_clock_mhz", "MHz", "SM clock of rank 0's GPU while it worked on the step", &S::sm_clock_mhz},
    {"temperature_c", "degC", "of rank 0's GPU while it worked on the step", &S::temperature_c},
}};
constexpr std::size_t kPowerColumns = 4;  ///< the last ones

using B = BucketRecord;
constexpr std::array<Column<B>, 6> kBucketColumns{{
    {"step", "1", "the sampled step", &B::step},
    {"bucket", "1", "index in launch order", &B::bucket},
    {"bytes", "B", "on the wire, per rank", &B::bytes},
    {"ready_s", "s", "the bucket's last gradient was finished, since the step's start, on rank 0",
     &B::ready_s},
    {"start_s", "s", "the all-reduce began, since the step's start, on rank 0", &B::start_s},
    {"end_s", "s", "the all-reduce was done, since the step's start, on rank 0", &B::end_s},
}};

using C = CommRecord;
constexpr std::array<Column<C>, 6> kCommColumns{{
    {"bytes", "B", "of one rank's fp32 values, summed over all ranks in place", &C::bytes},
    {"repeats", "1", "timed all-reduces, back to back, after a warm-up", &C::repeats},
    {"mean_s", "s", "time of one, mean; of the slowest rank", &C::mean_s},
    {"median_s", "s", "time of one, median; of the slowest rank", &C::median_s},
    {"p99_s", "s", "time of one, 99th percentile by nearest rank; of the slowest rank", &C::p99_s},
    {"correct", "1", "1: every value on every rank was the exact sum", &C::correct},
}};

constexpr const char* kVersionsGroup = "/library_versions";
constexpr const char* kPowerSource = "power_source";
constexpr const char* kProgram = "gpumonth run log";

/// Calls f(name, value) for every number and text of the root: writing and reading in one list.
template <class Info, class F>
void for_each_attribute(Info& info, F&& f) {
  f("gpumonth_version", info.gpumonth_version);
  f("git_commit", info.git_commit);
  f("config_toml", info.config_toml);
  f("model_name", info.model_name);
  f("world_size", info.world_size);
  f("threads_per_rank", info.threads_per_rank);
  f("global_batch", info.global_batch);
  f("parameters", info.parameters);
  f("backend", info.backend);
  f("transport", info.transport);
  f("dtype", info.dtype);
  f("device_name", info.device_name);
  f("peak_flops_per_s", info.peak_flops_per_s);
  f("peak_source", info.peak_source);
  f("gemm_peak_flops_per_s", info.gemm_peak_flops_per_s);
  f("start_time_utc", info.start_time_utc);
  f("start_time_unix_s", info.start_time_unix_s);
  f("resumed_from", info.resumed_from);
}

hdf5::Handle copy_of(hid_t type) { return {H5Tcopy(type), H5Tclose}; }

}  // namespace

std::span<const Column<StepRecord>> step_columns(bool with_power) {
  return std::span(kStepColumns).first(kStepColumns.size() - (with_power ? 0 : kPowerColumns));
}
std::span<const Column<BucketRecord>> bucket_columns() { return kBucketColumns; }
std::span<const Column<CommRecord>> comm_columns() { return kCommColumns; }

hdf5::Handle column_type(std::int64_t) { return copy_of(hdf5::native_type<std::int64_t>()); }
hdf5::Handle column_type(double) { return copy_of(hdf5::native_type<double>()); }
hdf5::Handle column_type(int) { return copy_of(hdf5::native_type<std::int32_t>()); }

hdf5::Handle column_type(Phase) {
  hdf5::Handle type(H5Tenum_create(hdf5::native_type<std::uint8_t>()), H5Tclose);
  const auto add = [&](const char* name, Phase phase) { H5Tenum_insert(type.get(), name, &phase); };
  add("warm_up", Phase::warm_up);
  add("steady", Phase::steady);
  add("checkpoint", Phase::checkpoint);
  return type;
}

void write_info(hdf5::File& file, const RunInfo& info) {
  file.set_attribute("/", "content", kProgram);
  file.set_attribute("/", "schema_version", kSchemaVersion);
  for_each_attribute(info,
                     [&](const char* name, const auto& value) { file.set_attribute("/", name, value); });
  file.set_attribute("/", "hostnames", info.hostnames);
  if (!info.power_source.empty()) file.set_attribute("/", kPowerSource, info.power_source);
  file.create_group(kVersionsGroup);
  for (const auto& [library, version] : info.library_versions) {
    file.set_attribute(kVersionsGroup, library, version);
  }
}

RunInfo read_info(const hdf5::File& file) {
  if (!file.has_attribute("/", "content") || !file.has_attribute("/", "schema_version") ||
      file.text_attribute("/", "content") != kProgram) {
    user_error("{}: HDF5, but not a gpumonth run log; give the run.h5 of a training run", file.path());
  }
  if (const int version = file.attribute<int>("/", "schema_version"); version != kSchemaVersion) {
    user_error(
        "{}: run log of schema {}, but this gpumonth reads schema {}; use the gpumonth that wrote it ({})",
        file.path(), version, kSchemaVersion,
        file.has_attribute("/", "gpumonth_version") ? file.text_attribute("/", "gpumonth_version")
                                                    : "unknown version");
  }
  RunInfo info;
  for_each_attribute(info, [&](const char* name, auto& value) {
    using Value = std::remove_reference_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, std::string>) {
      value = file.text_attribute("/", name);
    } else {
      value = file.attribute<Value>("/", name);
    }
  });
  info.hostnames = file.text_list_attribute("/", "hostnames");
  if (file.has_attribute("/", kPowerSource)) info.power_source = file.text_attribute("/", kPowerSource);
  for (const auto& library : file.attribute_names(kVersionsGroup)) {
    info.library_versions[library] = file.text_attribute(kVersionsGroup, library);
  }
  return info;
}

}  // namespace gpumonth::runlog
