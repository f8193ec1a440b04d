#include "runlog/schema.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace gpumonth::runlog {

namespace {

// Ranges are wide: they hold back what no machine measures and what breaks arithmetic, not what is unusual.
constexpr double kLongest_s = 1e8;  ///< three years
constexpr Range kCounter{1, 1e15};
constexpr Range kDuration{0, kLongest_s};
/// Stored as they are: the step at which a run diverged is logged, and no speed depends on them.
constexpr Range kAnything{-INFINITY, INFINITY, true};
constexpr Range kWork{1, 1e30};  ///< FLOP of a step
/// FLOP/s of one rank. A peak in TFLOP/s or GFLOP/s lies below it.
constexpr Range kPeak{1e6, 1e18, true};

using S = StepRecord;
constexpr std::array<Column<S>, 29> kStepColumns{{
    {"step", "1", "number of the optimizer step, 1 is the first; continues over a resume", &S::step, kCounter},
    {"start_time_s", "s", "start of the step since start_time_unix_s", &S::start_time_s, {0, 1e12}},
    {"step_time_s",
     "s",
     "wall time from the end of the previous step to the end of this one",
     &S::step_time_s,
     {1e-9, kLongest_s}},
    {"data_s", "s", "waiting for the batch", &S::data_s, kDuration},
    {"forward_s", "s", "forward and loss", &S::forward_s, kDuration},
    {"backward_s", "s", "backward compute, without exposed_comm_s", &S::backward_s, kDuration},
    {"comm_s", "s", "the communication thread inside all-reduces", &S::comm_s, kDuration},
    {"exposed_comm_s", "s", "what the step waited for communication", &S::exposed_comm_s, kDuration},
    {"optimizer_s", "s", "clipping, AdamW, EMA, weight packing", &S::optimizer_s, kDuration},
    {"samples", "samples", "global batch", &S::samples, {1, 1e12}},
    {"tokens", "tokens", "samples x tokens per sample", &S::tokens, kCounter},
    {"model_flops", "FLOP", "3 x forward, without recompute, over all ranks", &S::model_flops, kWork},
    {"hardware_flops", "FLOP", "model_flops and recompute, over all ranks", &S::hardware_flops, kWork},
    {"loss", "1", "mean over the global batch", &S::loss, kAnything},
    {"grad_norm", "1", "L2 norm of the gradient before clipping", &S::grad_norm, kAnything},
    {"learning_rate", "1", "AdamW step size", &S::learning_rate, {0, 1e6}},
    {"phase", "1", "0 warm_up, 1 steady, 2 checkpoint (the step's time contains writing one)", &S::phase, {0, 2}},
    {"exchange_s", "s", "of forward_s and backward_s, in all-to-alls of ranks that share samples, on rank 0",
     &S::exchange_s, kDuration},
    {"exchanged_bytes", "B", "sent in those by rank 0 to others", &S::exchanged_bytes, {0, 1e15}},
    {"small_grad_norm", "1",
     "root mean square L2 norm of the step's small gradients, each the mean over small_batch samples",
     &S::small_grad_norm, kAnything},
    {"gather_s", "s", "of comm_s: inside the gathers of weights", &S::gather_s, kDuration},
    {"exposed_gather_s", "s", "of exposed_comm_s: what forward and backward waited for weights", &S::exposed_gather_s,
     kDuration},
    {"gathered_bytes", "B", "of weights, that rank 0 sent", &S::gathered_bytes, {0, 1e18}},
    {"reduced_bytes", "B", "of gradients, that rank 0 sent", &S::reduced_bytes, {0, 1e18}},
    {"energy_j",
     "J",
     "taken by rank 0's GPU since the step before; single short steps may read 0: add them up",
     &S::energy_j,
     {0, 1e12, true}},
    {"power_w", "W", "of rank 0's GPU while it worked on the step", &S::power_w, {0, 1e9, true}},
    {"sm_clock_mhz", "MHz", "SM clock of rank 0's GPU while it worked on the step", &S::sm_clock_mhz, {0, 1e9, true}},
    {"temperature_c", "degC", "of rank 0's GPU while it worked on the step", &S::temperature_c, {-273.15, 1e4, true}},
    {"clock_limit",
     "1",
     "what held that clock down, by the driver: 0 nothing, 1 power, 2 heat, 3 both",
     &S::clock_limit,
     {0, 3, true}},
}};
// The optional ones, from behind:
constexpr std::size_t kPowerColumns = 5, kGatherColumns = 4, kExchangeColumns = 2;
constexpr std::size_t kGathers = kStepColumns.size() - kPowerColumns - kGatherColumns, kSmallGradNorm = kGathers - 1,
                      kExchange = kSmallGradNorm - kExchangeColumns;

/// Those of every log, then the optional ones that are asked for.
std::vector<Column<S>> chosen_columns(const OptionalColumns& with) {
  std::vector<Column<S>> columns(kStepColumns.begin(), kStepColumns.end());
  if (with.power == PowerColumns::without_limit) columns.pop_back();
  if (with.power == PowerColumns::none) columns.resize(columns.size() - kPowerColumns);
  if (!with.gathers) columns.erase(columns.begin() + kGathers, columns.begin() + kGathers + kGatherColumns);
  if (!with.small_grad_norm) columns.erase(columns.begin() + kSmallGradNorm);
  if (!with.exchange) columns.erase(columns.begin() + kExchange, columns.begin() + kExchange + 2);
  return columns;
}

using B = BucketRecord;
constexpr std::array<Column<B>, 6> kBucketColumns{{
    {"step", "1", "the sampled step", &B::step, kCounter},
    {"bucket", "1", "index in launch order", &B::bucket, {0, 65535}},
    {"bytes", "B", "on the wire, per rank", &B::bytes, {0, 1e15}},
    {"ready_s", "s", "the bucket's last gradient was finished, since the step's start, on rank 0", &B::ready_s,
     kDuration},
    {"start_s", "s", "the all-reduce began, since the step's start, on rank 0", &B::start_s, kDuration},
    {"end_s", "s", "the all-reduce was done, since the step's start, on rank 0", &B::end_s, kDuration},
}};

using C = CommRecord;
constexpr std::array<Column<C>, 6> kCommColumns{{
    {"bytes",
     "B",
     "of one rank's fp32 values: what it holds, a share of every rank where there are shares",
     &C::bytes,
     {0, 1e15}},
    {"repeats", "1", "timed operations, back to back, after a warm-up", &C::repeats, kCounter},
    {"mean_s", "s", "time of one, mean; of the slowest rank", &C::mean_s, kDuration},
    {"median_s", "s", "time of one, median; of the slowest rank", &C::median_s, kDuration},
    {"p99_s", "s", "time of one, 99th percentile by nearest rank; of the slowest rank", &C::p99_s, kDuration},
    {"correct", "1", "1: every value on every rank was exact", &C::correct, {0, 1}},
}};

constexpr const char* kVersionsGroup = "/library_versions";
constexpr const char *kPowerSource = "power_source", *kPeakClock = "peak_sm_clock_mhz", *kSmallBatch = "small_batch";
constexpr const char *kSequenceRanks = "sequence_ranks", *kSequenceShare = "sequence_share";
constexpr Range kClock{1, 1e6, true};
constexpr Range kSmallBatchRange{1, 1e12};
constexpr Range kSequenceRange{1, 1e6};
constexpr const char *kOrigin = "origin", *kSourceRun = "source_run", *kSourceChanges = "source_changes";
constexpr const char *kKind = "kind", *kSampling = "sampling";
constexpr std::array kOriginNames{"measured", "replayed", "simulated"};
constexpr const char* kProgram = "gpumonth run log";

/// The most bytes that a text is believed to have: more are no name, and would fill terminal and page.
struct Length {
  std::size_t most;
};
constexpr Length kName{1024}, kSentence{16 << 10}, kConfiguration{256 << 10};

/// Calls f(name, value, limit) for every number and text of the root: writing, reading and checking in one list.
template <class Info, class F>
void for_each_attribute(Info& info, F&& f) {
  f("gpumonth_version", info.gpumonth_version, kName);
  f("git_commit", info.git_commit, kName);
  f("config_toml", info.config_toml, kConfiguration);
  f("model_name", info.model_name, kName);
  f("world_size", info.world_size, Range{1, 1e6});
  f("threads_per_rank", info.threads_per_rank, Range{1, 1e5});
  f("global_batch", info.global_batch, Range{0, 1e12});  // 0: a log without steps, from `gpumonth comm`
  f("parameters", info.parameters, Range{0, 1e18});
  f("backend", info.backend, kName);
  f("transport", info.transport, kName);
  f("dtype", info.dtype, kName);
  f("device_name", info.device_name, kName);
  f("peak_flops_per_s", info.peak_flops_per_s, kPeak);
  f("peak_source", info.peak_source, kSentence);
  f("gemm_peak_flops_per_s", info.gemm_peak_flops_per_s, kPeak);
  f("start_time_utc", info.start_time_utc, kName);
  f("start_time_unix_s", info.start_time_unix_s, Range{0, 1e12});
  f("resumed_from", info.resumed_from, kSentence);
}

/// The same for what a log of sampling says besides.
template <class Info, class F>
void for_each_sampling_attribute(Info& sampling, F&& f) {
  f("sampler", sampling.sampler, kName);
  f("sampling_steps", sampling.steps, Range{1, 1e6});
  f("guidance", sampling.guidance, Range{-1e6, 1e6});
  f("checkpoint", sampling.checkpoint, kSentence);
  f("checkpoint_crc32", sampling.checkpoint_crc32, kName);
}

std::string checked_text(const hdf5::File& file, const std::string& object, const std::string& name, Length limit) {
  std::string text = file.text_attribute(object, name);
  if (text.size() > limit.most)
    user_error("{}: attribute '{}' of {} has {} bytes, more than the {} that such a text may have", file.path(), name,
               object, text.size(), limit.most);
  return text;
}

/// Read as a double, so that no conversion to a narrower type hides what is stored.
template <class Value>
Value checked_number(const hdf5::File& file, const char* name, const Range& range) {
  const double value = file.attribute<double>("/", name);
  const bool whole = std::is_floating_point_v<Value> || value == std::floor(value);
  if (!range.contains(value) || !whole)
    user_error("{}: attribute '{}' is {}, it must be a {}number from {:g} to {:g}{}", file.path(), name,
               number_text(value), std::is_floating_point_v<Value> ? "" : "whole ", range.low, range.high,
               range.or_nan ? " (NaN where it is unknown)" : "");
  return static_cast<Value>(value);
}

std::vector<std::string> checked_hostnames(const hdf5::File& file, int world_size) {
  const auto names = file.text_list_attribute("/", "hostnames");
  if (names.size() > static_cast<std::size_t>(world_size))
    user_error("{}: {} hostnames, but world_size is {}", file.path(), names.size(), world_size);
  for (const auto& name : names)
    if (name.size() > kName.most)
      user_error("{}: a host name has {} bytes, more than the {} that one may have", file.path(), name.size(),
                 kName.most);
  return names;
}

Origin checked_origin(const hdf5::File& file) {
  const std::string text = checked_text(file, "/", kOrigin, kName);
  const auto found = std::find(kOriginNames.begin(), kOriginNames.end(), text);
  if (found == kOriginNames.end())
    user_error("{}: attribute '{}' is '{}', it must be measured, replayed or simulated", file.path(), kOrigin, text);
  return static_cast<Origin>(found - kOriginNames.begin());
}

hdf5::Handle copy_of(hid_t type) { return {H5Tcopy(type), H5Tclose}; }

}  // namespace

const char* name(Origin origin) { return kOriginNames[static_cast<std::size_t>(origin)]; }

std::span<const Column<StepRecord>> step_columns(const OptionalColumns& with) {
  using enum PowerColumns;
  static const std::vector<std::vector<Column<S>>> tables = [] {
    std::vector<std::vector<Column<S>>> all_tables;
    for (const PowerColumns power : {none, without_limit, all})
      for (const bool norm : {false, true})
        for (const bool exchange : {false, true})
          for (const bool gathers : {false, true})
            all_tables.push_back(chosen_columns({power, norm, exchange, gathers}));
    return all_tables;
  }();
  return tables[8 * static_cast<std::size_t>(with.power) + (with.small_grad_norm ? 4u : 0u) +
                (with.exchange ? 2u : 0u) + (with.gathers ? 1u : 0u)];
}
std::span<const Column<BucketRecord>> bucket_columns() { return kBucketColumns; }
std::span<const Column<CommRecord>> comm_columns() { return kCommColumns; }

std::string number_text(double value) {
  return std::isfinite(value) ? fmt::format("{:g}", value) : "not a finite number";
}

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
  for_each_attribute(info, [&](const char* name, const auto& value, auto) { file.set_attribute("/", name, value); });
  file.set_attribute("/", "hostnames", info.hostnames);
  if (!info.power_source.empty()) file.set_attribute("/", kPowerSource, info.power_source);
  if (std::isfinite(info.peak_sm_clock_mhz)) file.set_attribute("/", kPeakClock, info.peak_sm_clock_mhz);
  if (info.small_batch > 0) file.set_attribute("/", kSmallBatch, info.small_batch);
  if (info.sequence_ranks > 1) file.set_attribute("/", kSequenceRanks, info.sequence_ranks);
  if (info.sequence_share > 1) file.set_attribute("/", kSequenceShare, info.sequence_share);
  if (info.origin != Origin::measured) {
    file.set_attribute("/", kOrigin, std::string(name(info.origin)));
    file.set_attribute("/", kSourceRun, info.source_run);
    file.set_attribute("/", kSourceChanges, info.source_changes);
  }
  if (info.sampling) {
    file.set_attribute("/", kKind, kSampling);
    for_each_sampling_attribute(
        *info.sampling, [&](const char* name, const auto& value, auto) { file.set_attribute("/", name, value); });
  }
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
        "{}: run log of schema {}, but this gpumonth reads schema {}; use the gpumonth that wrote it ({})", file.path(),
        version, kSchemaVersion,
        file.has_attribute("/", "gpumonth_version") ? file.text_attribute("/", "gpumonth_version") : "unknown version");
  }
  RunInfo info;
  const auto take = [&](const char* name, auto& value, auto limit) {
    using Value = std::remove_reference_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, std::string>) {
      value = checked_text(file, "/", name, limit);
    } else {
      value = checked_number<Value>(file, name, limit);
    }
  };
  for_each_attribute(info, take);
  info.hostnames = checked_hostnames(file, info.world_size);
  if (file.has_attribute("/", kPowerSource)) info.power_source = checked_text(file, "/", kPowerSource, kSentence);
  if (file.has_attribute("/", kPeakClock)) info.peak_sm_clock_mhz = checked_number<double>(file, kPeakClock, kClock);
  if (file.has(kStepSmallGradNorm))
    info.small_batch = checked_number<std::int64_t>(file, kSmallBatch, kSmallBatchRange);
  if (file.has_attribute("/", kSequenceRanks))
    info.sequence_ranks = checked_number<int>(file, kSequenceRanks, kSequenceRange);
  if (file.has_attribute("/", kSequenceShare))
    info.sequence_share = checked_number<int>(file, kSequenceShare, kSequenceRange);
  info.gathers_weights = file.has(kStepGather);
  if (file.has_attribute("/", kOrigin)) {
    info.origin = checked_origin(file);
    if (file.has_attribute("/", kSourceRun)) info.source_run = checked_text(file, "/", kSourceRun, kSentence);
    if (file.has_attribute("/", kSourceChanges))
      info.source_changes = checked_text(file, "/", kSourceChanges, kSentence);
  }
  if (file.has_attribute("/", kKind)) {
    if (const std::string kind = checked_text(file, "/", kKind, kName); kind != kSampling)
      user_error("{}: attribute '{}' is '{}', and this gpumonth knows '{}' alone", file.path(), kKind, kind, kSampling);
    for_each_sampling_attribute(info.sampling.emplace(), take);
  }
  for (const auto& library : file.attribute_names(kVersionsGroup)) {
    info.library_versions[library] = checked_text(file, kVersionsGroup, library, kName);
  }
  return info;
}

}  // namespace gpumonth::runlog
