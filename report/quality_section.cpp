// The report's part on quality: checkpoints side by side, with what they cost, their losses and their samples.
#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/report.h"

namespace gpumonth::report {
namespace {

/// "4 x": compute in units of the first checkpoint's.
std::string compute_of(const CheckpointQuality& q, const Quality& all) {
  const double unit = all.checkpoints.front().model_flops;
  return unit > 0 ? fmt::format("{:.3g} ×", q.model_flops / unit) : "n/a";
}

const CheckpointQuality* maker_of(const SampleQuality& samples, const Quality& all) {
  const auto found = std::find_if(all.checkpoints.begin(), all.checkpoints.end(),
                                  [&](const auto& q) { return q.checkpoint == samples.checkpoint; });
  return found == all.checkpoints.end() ? nullptr : &*found;
}

std::string with_error(const LossWithError& loss) {
  return fmt::format("{:.4f} ± {:.4f}", loss.loss, loss.standard_error);
}

std::string frechet_of(const SampleQuality& q) {
  return fmt::format("{:.3g} ({:.3g} – {:.3g})", q.frechet_distance, q.frechet_low, q.frechet_high);
}

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k)
      three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      text.push_back(i + k <= bytes.size() ? kDigits[three >> (18 - 6 * k) & 63u] : '=');
  }
  return text;
}

/// What one samples file shows, below its sheet.
std::string sheet_caption(const SampleQuality& q, const Quality& all) {
  const CheckpointQuality* maker = maker_of(q, all);
  std::string text = maker != nullptr ? fmt::format("{} compute, validation loss {}. ", compute_of(*maker, all),
                                                    with_error(maker->validation))
                                      : q.checkpoint + ". ";
  text += fmt::format("Fréchet distance {}; {}, {} steps", frechet_of(q), q.sampler, q.steps);
  return text + (q.guidance != 1 ? fmt::format(", guidance {:g}.", q.guidance) : ".");
}

std::string sheets(const Quality& quality) {
  std::string out;
  for (const SampleQuality& q : quality.samples) {
    if (q.sheet.empty()) continue;
    out += fmt::format(
        "<figure><img src=\"data:image/png;base64,{}\" alt=\"samples\"><figcaption>{}</figcaption></figure>\n",
        base64(q.sheet), html::escape(sheet_caption(q, quality)));
  }
  return out.empty() ? "" : "<div class=\"sheets\">\n" + out + "</div>\n";
}

std::string checkpoint_table(const Quality& quality) {
  std::vector<std::vector<std::string>> rows;
  for (const CheckpointQuality& q : quality.checkpoints)
    rows.push_back({q.run, q.model, fmt::format("{}", q.step), compact(q.samples_seen), scientific(q.model_flops),
                    compute_of(q, quality), with_error(q.validation),
                    rows.empty() ? "" : with_error(q.difference_from_first)});
  return html::table({"run", "model", "step", "samples seen", "training FLOPs", "compute", "validation loss",
                      "difference from the first"},
                     rows, 2);
}

std::string sample_table(const Quality& quality) {
  std::vector<std::vector<std::string>> rows;
  for (const SampleQuality& q : quality.samples) {
    const CheckpointQuality* maker = maker_of(q, quality);
    rows.push_back({q.file, maker != nullptr ? compute_of(*maker, quality) : "n/a", fmt::format("{}", q.count),
                    fmt::format("{}, {} steps", q.sampler, q.steps), fmt::format("{:g}", q.guidance), frechet_of(q),
                    fmt::format("{:.3g}", q.frechet_floor),
                    q.labels_read_right ? fmt::format("{:.1f} %", 100 * *q.labels_read_right) : "n/a"});
  }
  return html::table(
      {"samples", "compute", "count", "sampler", "guidance", "Fréchet distance (90 %)", "floor", "labels read right"},
      rows, 1);
}

}  // namespace

std::string quality_section(const Quality& quality) {
  std::string out = "<h2>What compute buys in quality</h2>\n" + sheets(quality);
  if (!quality.checkpoints.empty()) {
    const CheckpointQuality& first = quality.checkpoints.front();
    out += checkpoint_table(quality);
    out +=
        html::figure(noise_level_figure(quality),
                     fmt::format("Validation loss of {} weights by noise level, on {} held-out samples with the same "
                                 "noise and timesteps for every checkpoint; bars are standard errors.",
                                 first.weights == "ema" ? "EMA" : "plain", first.validation_samples));
  }
  if (!quality.samples.empty()) {
    out += sample_table(quality);
    out +=
        "<p class=\"muted\">Fréchet distance of position, size, shape, direction, colour and motion, as read from the "
        "samples, from those of true drawings; the floor is what as many true drawings would have "
        "(docs/sampling.md, Quality).</p>\n";
  }
  return out;
}

}  // namespace gpumonth::report
