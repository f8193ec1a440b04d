// The report's part that shows what was measured, and on what.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/format.h"
#include "base/quantile.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/report.h"
#include "scaling/noise_scale.h"

namespace gpumonth::report {
namespace {

std::string step_ms(double seconds) { return std::isfinite(seconds) ? grouped(1e3 * seconds) : "n/a"; }

const std::vector<std::string> kSpeedHead = {"global batch",  "steady steps",  "median step (ms)",
                                             "5 – 95 % (ms)", "samples/s",     "GFLOP/s",
                                             "MFU",           "90 % interval", "peak (GFLOP/s)"};

std::vector<std::string> head_of(const char* first) {
  std::vector<std::string> head = {first};
  head.insert(head.end(), kSpeedHead.begin(), kSpeedHead.end());
  return head;
}

/// One row of the runs at `places`: medians over them, ranges from the lowest to the highest. Those without
/// steady steps do not count.
std::vector<std::string> speed_row(const std::string& label, const std::vector<std::size_t>& places,
                                   const std::vector<budget::Efficiency>& all) {
  std::vector<budget::Efficiency> usable;
  for (const std::size_t i : places)
    if (all[i].steps > 0) usable.push_back(all[i]);
  std::vector<std::string> cells = {label, compact(static_cast<double>(all[places.front()].global_batch))};
  if (usable.empty()) {
    cells.resize(1 + kSpeedHead.size(), "n/a");
    cells[2] = "0";
    return cells;
  }
  const auto over = [&](auto member, double q) {
    std::vector<double> values;
    for (const auto& e : usable) values.push_back(e.*member);
    return quantile(values, q);
  };
  std::size_t steps = 0;
  for (const auto& e : usable) steps += e.steps;
  const bool mfu = std::all_of(usable.begin(), usable.end(), [](const auto& e) { return e.has_mfu(); });
  const bool intervals = std::all_of(usable.begin(), usable.end(), [](const auto& e) { return e.has_interval(); });
  const budget::Number pooled = budget::pooled_mfu(usable);
  cells.insert(cells.end(), {fmt::format("{}", steps), step_ms(over(&budget::Efficiency::step_median_s, 0.5)),
                             step_ms(over(&budget::Efficiency::step_p5_s, 0)) + " – " +
                                 step_ms(over(&budget::Efficiency::step_p95_s, 1)),
                             grouped(over(&budget::Efficiency::samples_per_s, 0.5)),
                             grouped(over(&budget::Efficiency::flops_per_s, 0.5) / 1e9),
                             mfu ? fmt::format("{:.1f} %", 100 * over(&budget::Efficiency::mfu, 0.5)) : "n/a",
                             intervals ? fmt::format("{:.1f} – {:.1f} %", 100 * pooled.low, 100 * pooled.high) : "n/a",
                             mfu ? grouped(over(&budget::Efficiency::peak_flops_per_s, 0.5) / 1e9) : "n/a"});
  return cells;
}

/// One row a run, or where runs repeat one a group, and the runs folded away.
std::string speed_tables(const std::vector<scaling::RunGroup>& groups,
                         const std::vector<budget::Efficiency>& efficiencies) {
  std::vector<std::vector<std::string>> of_runs, of_groups;
  const auto labels = scaling::run_labels(groups);
  for (std::size_t i = 0; i < labels.size(); ++i) of_runs.push_back(speed_row(labels[i], {i}, efficiencies));
  if (groups.size() == labels.size()) return html::table(head_of("run"), of_runs);
  for (const auto& group : groups)
    of_groups.push_back(speed_row(scaling::label_with_count(group), group.runs, efficiencies));
  return html::table(head_of("runs"), of_groups) +
         "<p class=\"muted\">Of several runs: their median, and intervals from the "
         "lowest to the highest end.</p>\n<details><summary>Run by run</summary>\n" +
         html::table(head_of("run"), of_runs) + "</details>\n";
}

/// Energy and clock of the runs whose GPU's driver told, MFU at that clock beside MFU; empty where there is none.
std::string power_table(const std::vector<scaling::RunGroup>& groups, const std::vector<budget::Efficiency>& runs) {
  const auto number = [](double value, const char* form) {
    return std::isfinite(value) ? fmt::format(fmt::runtime(form), value) : std::string("n/a");
  };
  const auto labels = scaling::run_labels(groups);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const budget::Efficiency& e = runs[i];
    if (!e.gpu.known()) continue;
    const std::string limits = runlog::limits_text(e.gpu);
    rows.push_back({labels[i], number(e.gpu.energy_per_step_j, "{:.4g}"), number(e.gpu.energy_per_sample_j, "{:.4g}"),
                    number(e.gpu.power_w, "{:.0f}"), number(e.gpu.sm_clock_mhz, "{:.0f}"),
                    number(100 * e.mfu, "{:.1f} %"), number(100 * e.mfu_at_clock, "{:.1f} %"),
                    limits.empty() ? "unknown" : limits});
  }
  if (rows.empty()) return "";
  return "<h3>Energy and clock</h3>\n" +
         html::table({"run", "J a step", "J a sample", "power (W)", "SM clock (MHz)", "MFU", "MFU at that clock",
                      "clock held down"},
                     rows) +
         "<p class=\"muted\">Of rank 0's GPU, as its driver says; a sample's energy counts all GPUs as if they took what "
         "it did. At its power limit a GPU lowers its clock, and its peak with it: MFU at that clock is over the "
         "datasheet's peak times the clock, over the clock at which the datasheet's peak is reached.</p>\n";
}

std::string breakdown_table(const std::vector<budget::Efficiency>& runs, const std::vector<scaling::RunGroup>& groups) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> head = {"mean steady step (ms)"};
  for (const auto& group : groups) {
    const auto parts = mean_step(group, runs);
    if (parts.empty()) continue;
    if (head.size() == 1)
      for (const auto& part : parts) head.push_back(part.name);
    double total = 0;
    for (const auto& part : parts) total += part.seconds;
    std::vector<std::string> cells = {scaling::label_with_count(group)};
    for (const auto& part : parts)
      cells.push_back(fmt::format("{} ({:.1f} %)", step_ms(part.seconds), 100 * part.seconds / total));
    rows.push_back(cells);
  }
  return rows.empty() ? "" : html::table(head, rows);
}

std::string denominators(const std::vector<budget::Efficiency>& efficiencies) {
  for (const auto& e : efficiencies)
    if (e.has_mfu() && e.peak_is_measured)
      return "<p class=\"muted\">No datasheet gives these devices' peak, so that MFU here is the share of "
             "the matrix-product "
             "rate that was measured on one rank when the run started.</p>\n";
  return "";
}

/// How the logs were read. A budget's notes have the same.
std::string all_notes(const std::vector<budget::Efficiency>& efficiencies, std::vector<std::string> notes) {
  for (auto& note : reading_notes(efficiencies)) notes.push_back(std::move(note));
  std::string out;
  for (const auto& note : notes) out += fmt::format("<p class=\"muted\">{}.</p>\n", html::escape(note));
  return out;
}

/// "node1, node2": each once, in order of ranks.
std::string hosts_of(const runlog::RunInfo& info) {
  std::string text;
  std::set<std::string> seen;
  for (const auto& host : info.hostnames)
    if (seen.insert(host).second) text += (text.empty() ? "" : ", ") + host;
  return text;
}

std::vector<std::string> fact_cells(const runlog::RunInfo& info) {
  std::string versions;
  for (const auto& [library, version] : info.library_versions)
    versions += fmt::format("{}{} {}", versions.empty() ? "" : ", ", library, version);
  return {
      info.device_name,
      fmt::format("{} × {} thread{}", info.world_size, info.threads_per_rank, info.threads_per_rank == 1 ? "" : "s"),
      hosts_of(info),
      fmt::format("{}, {}, {}", info.backend, info.transport, info.dtype),
      compact(static_cast<double>(info.parameters)),
      fmt::format("{} {}", info.gpumonth_version, info.git_commit.substr(0, 10)),
      versions};
}

/// What is the same on many runs stands there once.
std::string facts_table(const std::vector<runlog::Run>& runs) {
  struct Fact {
    std::vector<std::string> cells;
    std::string first, last;
    std::size_t runs = 0;
  };
  std::vector<Fact> facts;
  std::map<std::vector<std::string>, std::size_t> places;
  for (const auto& run : runs) {
    const std::string& start = run.info.start_time_utc;
    auto cells = fact_cells(run.info);
    const auto [place, is_new] = places.try_emplace(cells, facts.size());
    if (is_new) facts.push_back({std::move(cells), start, start, 0});
    Fact& fact = facts[place->second];
    fact.first = std::min(fact.first, start);
    fact.last = std::max(fact.last, start);
    ++fact.runs;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& fact : facts) {
    rows.push_back({fmt::format("{}", fact.runs)});
    rows.back().insert(rows.back().end(), fact.cells.begin(), fact.cells.end());
    rows.back().push_back(fact.first == fact.last ? fact.first : fact.first + " – " + fact.last);
  }
  return html::table({"runs", "device", "ranks", "hosts", "backend, transport, type", "parameters", "gpumonth",
                      "libraries", "started"},
                     rows, 5, 6);
}

std::string noise_scales(const std::vector<runlog::Run>& runs, const std::vector<scaling::RunGroup>& groups) {
  std::string out;
  const auto labels = scaling::run_labels(groups);
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (const std::string text = to_text(scaling::noise_scale(runs[i])); !text.empty())
      out += fmt::format("<p class=\"muted\">{}: {}.</p>\n", html::escape(labels[i]), html::escape(text));
  return out;
}

/// Without those of one rank's share: no number of ranks has their speed.
std::vector<budget::Efficiency> of_whole_trainings(const std::vector<runlog::Run>& runs,
                                                   const std::vector<budget::Efficiency>& efficiencies) {
  std::vector<budget::Efficiency> whole;
  for (std::size_t i = 0; i < efficiencies.size(); ++i)
    if (i >= runs.size() || runs[i].info.sequence_share == 1) whole.push_back(efficiencies[i]);
  return whole;
}

}  // namespace

std::string runs_section(const std::vector<runlog::Run>& runs, const std::vector<scaling::RunGroup>& groups,
                         const std::vector<budget::Efficiency>& efficiencies, const std::vector<std::string>& notes) {
  std::string out = "<h2>What was measured</h2>\n" + speed_tables(groups, efficiencies) + denominators(efficiencies) +
                    all_notes(efficiencies, notes);
  out += "<h3>Loss</h3>\n" +
         html::figure(loss_figure(runs, groups),
                      "Thin: every step. Thick: moving average over 1/25 of the run." + loss_note(runs)) +
         noise_scales(runs, groups);
  out += "<h3>Where a step goes</h3>\n" +
         html::figure(breakdown_figure(efficiencies, groups),
                      "Exposed communication is what the step really waited for; communication behind "
                      "backward costs nothing and does not show.") +
         breakdown_table(efficiencies, groups) + power_table(groups, efficiencies);
  const auto whole = of_whole_trainings(runs, efficiencies);
  const std::string throughput =
      html::figure(throughput_figure(whole),
                   "Ideal: in proportion to the GPUs (or CPU threads). Bars, where runs repeat: lowest to highest.");
  if (!throughput.empty())
    out += "<h3>By ranks</h3>\n<div class=\"pair\">" + throughput +
           html::figure(efficiency_figure(whole),
                        "100 %: every GPU (or CPU thread) trains as fast as with the fewest ranks.") +
           "</div>\n";
  const std::string stragglers = straggler_figure(runs), buckets = bucket_figure(runs);
  if (!stragglers.empty())
    out += "<h3>Stragglers</h3>\n" +
           html::figure(stragglers,
                        "A rank's own busy time, without waiting for others. Dashed: the median rank. The slowest "
                        "rank sets the pace. The axis does not start at 0.");
  if (!buckets.empty())
    out +=
        "<h3>Gradient buckets of one step</h3>\n" +
        html::figure(buckets,
                     "A bucket is ready when backward has finished its last gradient; its all-reduce runs behind the "
                     "rest of backward.");
  if (stragglers.empty() || buckets.empty())
    out += "<p class=\"muted\">Stragglers and buckets show on runs with two or more ranks.</p>\n";
  return out;
}

std::string machines_section(const std::vector<runlog::Run>& runs, const std::vector<scaling::RunGroup>& groups) {
  std::string out = "<h2>Machines and configurations</h2>\n" + facts_table(runs);
  std::string configurations;
  const auto labels = scaling::run_labels(groups);
  for (std::size_t i = 0; i < runs.size(); ++i)
    configurations +=
        fmt::format("<details><summary>{}: {}</summary><pre>{}</pre></details>\n", html::escape(labels[i]),
                    html::escape(runs[i].path), html::escape(runs[i].info.config_toml));
  out += runs.size() <= 2
             ? configurations
             : "<details><summary>The configuration of every run</summary>\n" + configurations + "</details>\n";
  return out;
}

}  // namespace gpumonth::report
