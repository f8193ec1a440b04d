// The report's part that shows what was measured, and on what.
#include <fmt/format.h>

#include <cmath>

#include "budget/figures.h"
#include "budget/format.h"
#include "budget/html.h"
#include "budget/report.h"

namespace gpumonth::budget {
namespace {

std::string ms(double seconds) { return std::isfinite(seconds) ? grouped(1e3 * seconds) : "n/a"; }

std::string speed_table(const std::vector<runlog::Run>& runs, const std::vector<Efficiency>& efficiencies) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Efficiency& e = efficiencies[i];
    rows.push_back({run_label(runs[i], runs), compact(static_cast<double>(e.global_batch)),
                    fmt::format("{}", e.steps), ms(e.step_median_s),
                    ms(e.step_p5_s) + " – " + ms(e.step_p95_s), e.steps ? grouped(e.samples_per_s) : "n/a",
                    e.steps ? grouped(e.flops_per_s / 1e9) : "n/a",
                    e.has_mfu() ? fmt::format("{:.1f} %", 100 * e.mfu) : "n/a",
                    e.has_mfu() ? fmt::format("{:.1f} – {:.1f} %", 100 * e.mfu_low, 100 * e.mfu_high) : "n/a",
                    e.has_mfu() ? grouped(e.peak_flops_per_s / 1e9) : "n/a"});
  }
  return html::table({"run", "global batch", "steady steps", "median step (ms)", "5 – 95 % (ms)", "samples/s",
                      "GFLOP/s", "MFU", "90 % interval", "peak (GFLOP/s)"},
                     rows);
}

std::string breakdown_table(const std::vector<runlog::Run>& runs) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> head = {"mean steady step (ms)"};
  for (const auto& run : runs) {
    if (run.steady().empty()) continue;
    const auto parts = mean_step(run);
    if (head.size() == 1)
      for (const auto& part : parts) head.push_back(part.name);
    double total = 0;
    for (const auto& part : parts) total += part.seconds;
    std::vector<std::string> cells = {run_label(run, runs)};
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

std::string facts_table(const std::vector<runlog::Run>& runs) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& run : runs) {
    const auto& info = run.info;
    std::string hosts, versions;
    for (const auto& host : info.hostnames)
      if (hosts.find(host) == std::string::npos) hosts += (hosts.empty() ? "" : ", ") + host;
    for (const auto& [library, version] : info.library_versions)
      versions += fmt::format("{}{} {}", versions.empty() ? "" : ", ", library, version);
    rows.push_back({run_label(run, runs), info.device_name,
                    fmt::format("{} x {} threads", info.world_size, info.threads_per_rank), hosts,
                    fmt::format("{}, {}, {}", info.backend, info.transport, info.dtype),
                    compact(static_cast<double>(info.parameters)), info.start_time_utc,
                    fmt::format("{} {}", info.gpumonth_version, info.git_commit.substr(0, 10)), versions});
  }
  return html::table({"run", "device", "ranks", "hosts", "backend, transport, type", "parameters", "started",
                      "gpumonth", "libraries"},
                     rows, 5, 6);
}

}  // namespace

std::string runs_section(const std::vector<runlog::Run>& runs, const std::vector<Efficiency>& efficiencies) {
  std::string out =
      "<h2>What was measured</h2>\n" + speed_table(runs, efficiencies) + denominators(efficiencies);
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
    out += "<h3>Scaling</h3>\n<div class=\"pair\">" + throughput +
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
  for (const auto& run : runs)
    out += fmt::format("<details><summary>{}: {}</summary><pre>{}</pre></details>\n",
                       html::escape(run_label(run, runs)), html::escape(run.path),
                       html::escape(run.info.config_toml));
  return out;
}

}  // namespace gpumonth::budget
