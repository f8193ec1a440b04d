// The report's part that shows what was measured, and on what.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "budget/figures.h"
#include "budget/format.h"
#include "budget/html.h"
#include "budget/report.h"
#include "budget/statistics.h"

namespace gpumonth::budget {
namespace {

std::string ms(double seconds) { return std::isfinite(seconds) ? grouped(1e3 * seconds) : "n/a"; }

const std::vector<std::string> kSpeedHead = {"global batch",  "steady steps",  "median step (ms)",
                                             "5 – 95 % (ms)", "samples/s",     "GFLOP/s",
                                             "MFU",           "90 % interval", "peak (GFLOP/s)"};

std::vector<std::string> head_of(const char* first) {
  std::vector<std::string> head = {first};
  head.insert(head.end(), kSpeedHead.begin(), kSpeedHead.end());
  return head;
}

std::string speed_table(const std::vector<runlog::Run>& runs, const std::vector<Efficiency>& efficiencies) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Efficiency& e = efficiencies[i];
    rows.push_back(
        {run_label(runs[i], runs), compact(static_cast<double>(e.global_batch)), fmt::format("{}", e.steps),
         ms(e.step_median_s), e.steps ? ms(e.step_p5_s) + " – " + ms(e.step_p95_s) : "n/a",
         e.steps ? grouped(e.samples_per_s) : "n/a", e.steps ? grouped(e.flops_per_s / 1e9) : "n/a",
         e.has_mfu() ? fmt::format("{:.1f} %", 100 * e.mfu) : "n/a",
         e.has_mfu() ? fmt::format("{:.1f} – {:.1f} %", 100 * e.mfu_low, 100 * e.mfu_high) : "n/a",
         e.has_mfu() ? grouped(e.peak_flops_per_s / 1e9) : "n/a"});
  }
  return html::table(head_of("run"), rows);
}

/// The usable runs of a group: medians over runs, ranges from the lowest to the highest.
std::vector<std::string> group_row(const RunGroup& group, const std::vector<Efficiency>& all) {
  std::vector<Efficiency> usable;
  for (const std::size_t i : group.runs)
    if (all[i].steps > 0) usable.push_back(all[i]);
  std::vector<std::string> cells = {label_with_count(group),
                                    compact(static_cast<double>(all[group.runs.front()].global_batch))};
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
  const Number pooled = pooled_mfu(usable);
  cells.insert(
      cells.end(),
      {fmt::format("{}", steps), ms(over(&Efficiency::step_median_s, 0.5)),
       ms(over(&Efficiency::step_p5_s, 0)) + " – " + ms(over(&Efficiency::step_p95_s, 1)),
       grouped(over(&Efficiency::samples_per_s, 0.5)), grouped(over(&Efficiency::flops_per_s, 0.5) / 1e9),
       mfu ? fmt::format("{:.1f} %", 100 * over(&Efficiency::mfu, 0.5)) : "n/a",
       mfu ? fmt::format("{:.1f} – {:.1f} %", 100 * pooled.low, 100 * pooled.high) : "n/a",
       mfu ? grouped(over(&Efficiency::peak_flops_per_s, 0.5) / 1e9) : "n/a"});
  return cells;
}

/// One row a run, or where runs repeat one a group, and the runs folded away.
std::string speed_tables(const std::vector<runlog::Run>& runs, const std::vector<Efficiency>& efficiencies) {
  const auto groups = group_runs(runs);
  if (groups.size() == runs.size()) return speed_table(runs, efficiencies);
  std::vector<std::vector<std::string>> rows;
  for (const auto& group : groups) rows.push_back(group_row(group, efficiencies));
  return html::table(head_of("runs"), rows) +
         "<p class=\"muted\">Of several runs: their median, and intervals from the "
         "lowest to the highest end.</p>\n<details><summary>Run by run</summary>\n" +
         speed_table(runs, efficiencies) + "</details>\n";
}

std::string breakdown_table(const std::vector<runlog::Run>& runs) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> head = {"mean steady step (ms)"};
  for (const auto& group : group_runs(runs)) {
    const auto parts = mean_step(group, runs);
    if (parts.empty()) continue;
    if (head.size() == 1)
      for (const auto& part : parts) head.push_back(part.name);
    double total = 0;
    for (const auto& part : parts) total += part.seconds;
    std::vector<std::string> cells = {label_with_count(group)};
    for (const auto& part : parts)
      cells.push_back(fmt::format("{} ({:.1f} %)", ms(part.seconds), 100 * part.seconds / total));
    rows.push_back(cells);
  }
  return rows.empty() ? "" : html::table(head, rows);
}

std::string denominators(const std::vector<Efficiency>& efficiencies) {
  std::string out;
  for (const auto& e : efficiencies)
    if (!e.has_mfu())
      out += fmt::format("<p class=\"muted\">{}: no MFU, {}.</p>\n", html::escape(e.path),
                         html::escape(e.why_unknown));
  for (const auto& e : efficiencies)
    if (e.has_mfu() && e.peak_is_measured)
      return out +
             "<p class=\"muted\">No datasheet gives these devices' peak, so that MFU here is the share of "
             "the matrix-product "
             "rate that was measured on one rank when the run started.</p>\n";
  return out;
}

/// What is the same on many runs stands there once.
std::string facts_table(const std::vector<runlog::Run>& runs) {
  struct Fact {
    std::vector<std::string> cells;
    std::string first, last;
    std::size_t runs = 0;
  };
  std::vector<Fact> facts;
  for (const auto& run : runs) {
    const auto& info = run.info;
    std::string hosts, versions;
    for (const auto& host : info.hostnames)
      if (hosts.find(host) == std::string::npos) hosts += (hosts.empty() ? "" : ", ") + host;
    for (const auto& [library, version] : info.library_versions)
      versions += fmt::format("{}{} {}", versions.empty() ? "" : ", ", library, version);
    const std::vector<std::string> cells = {
        info.device_name,
        fmt::format("{} × {} thread{}", info.world_size, info.threads_per_rank,
                    info.threads_per_rank == 1 ? "" : "s"),
        hosts,
        fmt::format("{}, {}, {}", info.backend, info.transport, info.dtype),
        compact(static_cast<double>(info.parameters)),
        fmt::format("{} {}", info.gpumonth_version, info.git_commit.substr(0, 10)),
        versions};
    auto found =
        std::find_if(facts.begin(), facts.end(), [&](const Fact& fact) { return fact.cells == cells; });
    if (found == facts.end())
      found = facts.insert(found, {cells, info.start_time_utc, info.start_time_utc, 0});
    found->first = std::min(found->first, info.start_time_utc);
    found->last = std::max(found->last, info.start_time_utc);
    ++found->runs;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& fact : facts) {
    rows.push_back({fmt::format("{}", fact.runs)});
    rows.back().insert(rows.back().end(), fact.cells.begin(), fact.cells.end());
    rows.back().push_back(fact.first == fact.last ? fact.first : fact.first + " – " + fact.last);
  }
  return html::table({"runs", "device", "ranks", "hosts", "backend, transport, type", "parameters",
                      "gpumonth", "libraries", "started"},
                     rows, 5, 6);
}

}  // namespace

std::string runs_section(const std::vector<runlog::Run>& runs, const std::vector<Efficiency>& efficiencies) {
  std::string out =
      "<h2>What was measured</h2>\n" + speed_tables(runs, efficiencies) + denominators(efficiencies);
  out += "<h3>Loss</h3>\n" +
         html::figure(loss_figure(runs), "Thin: every step. Thick: moving average over 1/25 of the run.");
  out += "<h3>Where a step goes</h3>\n" +
         html::figure(breakdown_figure(runs),
                      "Exposed communication is what the step really waited for; communication behind "
                      "backward costs nothing and does not show.") +
         breakdown_table(runs);
  const std::string throughput = html::figure(
      throughput_figure(efficiencies),
      "Ideal: in proportion to the GPUs (or CPU threads). Bars, where runs repeat: lowest to highest.");
  if (!throughput.empty())
    out += "<h3>By ranks</h3>\n<div class=\"pair\">" + throughput +
           html::figure(efficiency_figure(efficiencies),
                        "100 %: every GPU (or CPU thread) trains as fast as with the fewest ranks.") +
           "</div>\n";
  const std::string stragglers = straggler_figure(runs), buckets = bucket_figure(runs);
  if (!stragglers.empty())
    out += "<h3>Stragglers</h3>\n" +
           html::figure(
               stragglers,
               "A rank's own busy time, without waiting for others. Dashed: the median rank. The slowest "
               "rank sets the pace. The axis does not start at 0.");
  if (!buckets.empty())
    out +=
        "<h3>Gradient buckets of one step</h3>\n" +
        html::figure(
            buckets,
            "A bucket is ready when backward has finished its last gradient; its all-reduce runs behind the "
            "rest of backward.");
  if (stragglers.empty() || buckets.empty())
    out += "<p class=\"muted\">Stragglers and buckets show on runs with two or more ranks.</p>\n";
  return out;
}

std::string machines_section(const std::vector<runlog::Run>& runs) {
  std::string out = "<h2>Machines and configurations</h2>\n" + facts_table(runs);
  std::string configurations;
  for (const auto& run : runs)
    configurations += fmt::format("<details><summary>{}: {}</summary><pre>{}</pre></details>\n",
                                  html::escape(run_label(run, runs)), html::escape(run.path),
                                  html::escape(run.info.config_toml));
  out += runs.size() <= 2 ? configurations
                          : "<details><summary>The configuration of every run</summary>\n" + configurations +
                                "</details>\n";
  return out;
}

}  // namespace gpumonth::budget
