#include "budget/inputs/efficiency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/quantile.h"
#include "base/shipped.h"
#include "scaling/bootstrap.h"

namespace gpumonth::budget {
namespace {

/// A measured matrix-product rate may have been measured on a busier machine than the run had; no peak is exceeded so
/// far.
constexpr double kMostMfu = 2;

/// The denominator of the MFU, and where it comes from.
void choose_peak(const runlog::RunInfo& info, Efficiency& e) {
  const auto usable = [](double x) { return std::isfinite(x) && x > 0; };
  if (usable(info.peak_flops_per_s)) {
    e.peak_flops_per_s = info.peak_flops_per_s;
    e.peak_source = info.peak_source;
    e.peak_is_measured = info.backend == "cpu" || info.peak_source.starts_with("measured");
  } else if (usable(info.gemm_peak_flops_per_s)) {
    e.peak_flops_per_s = info.gemm_peak_flops_per_s;
    e.peak_source = "matrix product measured on one rank at the start of the run";
    e.peak_is_measured = true;
  } else {
    e.why_unknown = fmt::format("the log has no peak for '{}' and no measured GEMM rate", info.device_name);
  }
}

/// Logs before November 2026 do not say at which clock their peak is reached: then that of the same device with the same
/// peak in configs/hardware.
double peak_clock_of(const runlog::RunInfo& info) {
  if (std::isfinite(info.peak_sm_clock_mhz)) return info.peak_sm_clock_mhz;
  static const std::vector<model::Hardware> known =
      shipped_configs().empty() ? std::vector<model::Hardware>{} : model::load_hardware(shipped_configs() / "hardware");
  const model::Hardware* device = model::match(known, info.device_name);
  return device != nullptr && device->peak_flops_per_s == info.peak_flops_per_s ? device->peak_sm_clock_mhz
                                                                                : std::nan("");
}

void derive_mfu(const std::vector<double>& flops, const std::vector<double>& seconds, Efficiency& e) {
  const double all_ranks_peak = e.peak_flops_per_s * e.ranks;
  std::vector<double> step_mfu;
  for (std::size_t i = 0; i < flops.size(); ++i) step_mfu.push_back(flops[i] / (seconds[i] * all_ranks_peak));
  e.mfu = e.flops_per_s / all_ranks_peak;
  e.step_mfu_p5 = quantile(step_mfu, 0.05);
  e.step_mfu_median = quantile(step_mfu, 0.5);
  e.step_mfu_p95 = quantile(step_mfu, 0.95);
  if (!e.has_interval()) return;
  const scaling::Interval interval = scaling::bootstrap_ratio(flops, seconds);
  e.mfu_low = std::min(e.mfu, interval.low / all_ranks_peak);
  e.mfu_high = std::max(e.mfu, interval.high / all_ranks_peak);
}

/// One model at another length of samples, as both configurations say: other frames or another input_size, and with
/// them at most another depth. Layers are measured so (layer_times.h).
bool is_other_length(const scaling::RunFacts& a, const scaling::RunFacts& b) {
  bool other_length = false;
  for (const auto& [key, value] : a.model_keys) {
    const auto found = b.model_keys.find(key);
    if (found == b.model_keys.end()) return false;
    if (found->second == value) continue;
    if (key != "frames" && key != "input_size" && key != "depth") return false;
    other_length = other_length || key != "depth";
  }
  return other_length;
}

}  // namespace

std::vector<scaling::PlacedRun> placed(const Runs& runs) {
  std::vector<scaling::PlacedRun> all;
  for (const auto* run : runs) all.push_back(run->placed());
  return all;
}

Efficiency efficiency_of(const runlog::Run& run) {
  Efficiency e;
  e.path = run.path;
  e.device_name = run.info.device_name;
  e.model_name = run.info.model_name;
  e.dtype = run.info.dtype;
  e.transport = run.info.transport;
  e.backend = run.info.backend;
  e.origin = run.info.origin;
  if (e.origin != runlog::Origin::measured)
    e.source = fmt::format("{}{}{}", run.info.source_run, run.info.source_changes.empty() ? "" : "; ",
                           run.info.source_changes);
  e.ranks = run.info.world_size;
  if (run.info.backend == "cpu") e.units_per_rank = std::max(1, run.info.threads_per_rank);
  e.global_batch = static_cast<double>(run.info.global_batch);
  e.facts = scaling::facts_of(run);
  e.summary = runlog::summarize(run);
  e.steps = static_cast<std::size_t>(e.summary.steps);
  if (e.steps == 0) {
    e.why_unknown = fmt::format("the log has {} steps, none of them steady: train for longer", run.steps.size());
    return e;
  }
  std::vector<double> seconds, flops;
  for (const auto& step : run.steady()) {
    seconds.push_back(step.step_time_s);
    flops.push_back(step.model_flops);
    const double samples_per_rank = static_cast<double>(step.samples) / e.ranks;
    e.forward_s.push_back(step.forward_s / samples_per_rank);
    e.backward_s.push_back(step.backward_s / samples_per_rank);
  }
  e.global_batch = e.summary.batch();
  e.step_median_s = quantile(seconds, 0.5);
  e.step_p5_s = quantile(seconds, 0.05);
  e.step_p95_s = quantile(seconds, 0.95);
  e.samples_per_s = e.summary.samples_per_s;
  e.flops_per_s = e.summary.model_flops_per_s;
  e.hardware_over_model_flops = std::max(1.0, e.summary.hardware_flops / e.summary.model_flops);
  choose_peak(run.info, e);
  if (const double mfu = e.flops_per_s / (e.peak_flops_per_s * e.ranks); mfu > kMostMfu)
    e.why_unknown = fmt::format("{:.3g} times the peak in the log, {:.4g} FLOP/s of one rank, is impossible", mfu,
                                e.peak_flops_per_s);
  if (e.has_mfu()) derive_mfu(flops, seconds, e);
  e.gpu = runlog::gpu_use(run);
  if (e.has_mfu() && std::isfinite(e.gpu.sm_clock_mhz))
    e.mfu_at_clock = runlog::mfu_at_clock(e.mfu, peak_clock_of(run.info), e.gpu.sm_clock_mhz);
  return e;
}

std::vector<std::string> reading_notes(const std::vector<Efficiency>& runs) {
  std::vector<std::string> names;
  std::vector<runlog::Summary> summaries;
  for (const auto& run : runs) {
    names.push_back(run.path);
    summaries.push_back(run.summary);
  }
  auto notes = scaling::reading_notes(names, summaries);
  std::vector<runlog::Origin> origins;
  for (const auto& run : runs) origins.push_back(run.origin);
  if (auto note = scaling::origins_note(names, origins); !note.empty()) notes.push_back(std::move(note));
  for (const auto& run : runs)
    if (!run.has_mfu())
      notes.push_back(fmt::format("mfu of run {}: {}", run.path, run.why_unknown));
    else if (!run.has_interval())
      notes.push_back(fmt::format(
          "mfu of run {}: {} steady step{}: nothing is known of {} spread, so there is no interval, and {:.1f} % is "
          "taken as it is",
          run.path, run.steps, run.steps == 1 ? "" : "s", run.steps == 1 ? "its" : "their", 100 * run.mfu));
    else if (run.mfu > 1)
      notes.push_back(fmt::format("mfu of run {}: {:.0f} % of its peak is impossible: the peak is not this machine's",
                                  run.path, 100 * run.mfu));
  const auto groups = that_belong_together(runs, &Efficiency::has_steps);
  for (const auto& group : groups)
    if (auto note = scaling::superseded_note(placed(group)); !note.empty()) notes.push_back(std::move(note));
  if (groups.size() > 1) {
    const Efficiency &a = *groups[0].front(), &b = *groups[1].front();
    notes.push_back(fmt::format("the runs are on {} curves, not on one: {} and {} differ, {}", groups.size(), a.path,
                                b.path, to_text(*scaling::difference(a.facts, b.facts))));
  }
  return notes;
}

std::vector<Runs> that_belong_together(const std::vector<Efficiency>& runs, bool (Efficiency::*wanted)() const) {
  std::vector<Runs> groups;
  for (const auto& run : runs) {
    if (!(run.*wanted)()) continue;
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const Runs& group) {
      return !scaling::difference(group.front()->facts, run.facts);
    });
    if (found == groups.end())
      groups.push_back({&run});
    else
      found->push_back(&run);
  }
  return groups;
}

Runs superseding(const std::vector<Efficiency>& runs) {
  Runs all(runs.size(), nullptr);
  for (const Runs& group : that_belong_together(runs, &Efficiency::has_steps)) {
    const auto by = scaling::superseding(placed(group));
    for (std::size_t i = 0; i < group.size(); ++i)
      if (by[i]) all[static_cast<std::size_t>(group[i] - runs.data())] = group[*by[i]];
  }
  return all;
}

void check_models(const std::vector<Efficiency>& runs) {
  const auto groups = that_belong_together(runs, &Efficiency::has_steps);
  for (const auto& a : groups)
    for (const auto& b : groups) {
      if (a.front()->model_name != b.front()->model_name || is_other_length(a.front()->facts, b.front()->facts))
        continue;
      if (const auto differs = scaling::model_difference(a.front()->facts, b.front()->facts))
        user_error("{} and {} do not belong on one curve: {}; give them apart", a.front()->path, b.front()->path,
                   to_text(*differs));
    }
}

Tag tag_of(runlog::Origin origin) {
  switch (origin) {
    case runlog::Origin::measured: return Tag::measured;
    case runlog::Origin::replayed: return Tag::replayed;
    case runlog::Origin::simulated: return Tag::simulated;
  }
  return Tag::assumed;
}

Runs pooled_runs(const std::vector<Efficiency>& runs) {
  Runs pooled;
  const Runs better = superseding(runs);
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (runs[i].has_mfu() && !(better[i] != nullptr && better[i]->has_mfu())) pooled.push_back(&runs[i]);
  return pooled;
}

Number pooled_mfu(const std::vector<Efficiency>& runs) {
  Number mfu;
  for (const Efficiency* pooled : pooled_runs(runs)) {
    const Efficiency& run = *pooled;
    const double low = run.has_interval() ? run.mfu_low : run.mfu, high = run.has_interval() ? run.mfu_high : run.mfu;
    const bool first = mfu.inputs.empty();
    mfu.low = first ? low : std::min(mfu.low, low);
    mfu.high = first ? high : std::max(mfu.high, high);
    mfu.inputs.push_back("run " + run.path);
    mfu.tag = std::max(mfu.tag, tag_of(run.origin));
  }
  return mfu.as("1",
                "lowest low and highest high of the runs' 90 % intervals of sum(model FLOPs) / (sum(step time) x "
                "ranks x peak of one rank), steady steps");
}

bool is_carried_over(const std::vector<Efficiency>& runs, const model::Hardware& target) {
  return std::any_of(runs.begin(), runs.end(), [&](const Efficiency& run) {
    return run.has_mfu() && (run.peak_is_measured || model::match({target}, run.device_name) == nullptr);
  });
}

Number carried_over() {
  Number factor = exactly(1);
  factor.tag = Tag::assumed;
  factor.inputs = {kCarriedOver};
  return factor;
}

}  // namespace gpumonth::budget
