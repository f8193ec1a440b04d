#include "budget/sampling_backtest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>

#include "base/error.h"
#include "base/format.h"
#include "base/shipped.h"
#include "budget/inputs/scenario_numbers.h"
#include "budget/plan/simulation.h"
#include "model/hardware.h"

namespace gpumonth::budget {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUtilisation = "inference.utilisation";
constexpr const char* kDecodeShare = "inference.decode_share";
constexpr const char* kMultiGpuLoss = "inference.multi_gpu_loss";

/// By key, what is drawn.
std::map<std::string, Distribution> load_assumptions(const fs::path& file) {
  config::Table root;
  std::deque<RawNumber> numbers;  // the table points into it
  for (const std::string key : {kUtilisation, kDecodeShare, kMultiGpuLoss}) {
    numbers.push_back({.key = scenario_key(key), .name = key});
    declare_number(root.table("inference").table(key.substr(key.find('.') + 1)), numbers.back());
  }
  config::load(root, file);
  std::map<std::string, Distribution> drawn;
  for (const auto& number : numbers) {
    if (!is_given(number)) user_error("{}: {} is missing ({})", file.string(), number.name, number.key->help);
    drawn[number.name] = resolve(number, file.string()).distribution;
  }
  return drawn;
}

double peak_of(const SamplingRow& row, const fs::path& folder) {
  const fs::path file = folder / (row.hardware + ".toml");
  if (row.hardware.find('/') != std::string::npos || !fs::exists(file))
    user_error("sampling: '{}' runs on '{}', and there is no {}: name a file of configs/hardware without .toml",
               row.name, row.hardware, file.string());
  model::Hardware device;
  config::Table root;
  model::declare(root.table("hardware"), device);
  config::load(root, file);
  if (!std::isfinite(device.peak_flops_per_s)) user_error("{}: has no peak_flops_per_s", file.string());
  return device.peak_flops_per_s;
}

void predict(SamplingRow& row, const std::map<std::string, Distribution>& assumptions, double peak) {
  std::vector<UncertainInput> inputs;
  for (const auto& [key, d] : assumptions) inputs.push_back({key, [d](double u) { return d.quantile(u); }});
  const Sample sample = drawn_sample(inputs);
  const double flop = row.steps * row.forwards_per_step * forward_flops(row.model);
  Column seconds = flop / (row.gpus * peak * sample.values.at(kUtilisation));
  if (row.includes_decoder != 0) seconds *= 1 + sample.values.at(kDecodeShare);
  if (row.gpus > 1) seconds *= 1 + sample.values.at(kMultiGpuLoss);
  const Spread spread = spread_of(seconds);
  row.predicted_s = spread.median;
  row.low_s = spread.low;
  row.high_s = spread.high;
}

}  // namespace

double forward_flops(const SamplerModel& m) {
  const double T = m.tokens, C = m.context_tokens, d = m.width;
  double macs = (4 * d * d + (m.gated_mlp ? 3 : 2) * d * m.mlp_width) * T + 2 * T * T * d;
  if (C > 0) macs += 2 * d * d * (T + C) + 2 * T * C * d;
  return 2 * m.layers * macs;
}

SamplingBacktest sampling_backtest(const fs::path& table, const fs::path& assumptions, const fs::path& hardware) {
  const auto drawn = load_assumptions(assumptions);
  SamplingBacktest result;
  result.rows = read_sampling_csv(table);
  for (auto& row : result.rows) predict(row, drawn, peak_of(row, hardware));
  static_cast<BacktestScore&>(result) = score_of(result.rows);
  return result;
}

SamplingBacktest sampling_backtest(const fs::path& table) {
  const fs::path configs = shipped_configs();
  if (configs.empty())
    user_error(
        "{}: the folder configs was not found beside the program, and with it neither devices nor what samplers "
        "reach",
        table.string());
  return sampling_backtest(table, configs / "published" / "sampling.toml", configs / "hardware");
}

fs::path shipped_sampling_table() {
  const fs::path file = shipped_configs() / "published" / "sampling.csv";
  return fs::exists(file) ? file : fs::path();
}

std::string to_text(const SamplingBacktest& backtest) {
  std::string out = fmt::format("{:<39}{:>6}{:>11}{:>24}{:>11}{:>7}  {}\n{:-<102}\n", "Seconds to sample", "GPUs",
                                "predicted", "90 %", "disclosed", "ratio", "", "");
  for (const auto& row : backtest.rows)
    out += fmt::format("{:<39}{:>6}{:>11}{:>24}{:>11}{:>7.2f}  {}\n", row.name.substr(0, 38), row.gpus,
                       compact(row.predicted_s), compact(row.low_s) + " .. " + compact(row.high_s),
                       compact(row.seconds), row.ratio(), row.covered() ? "" : "out");
  return out + "\n" + to_text(backtest, backtest.rows.size(), "times");
}

Json to_json(const SamplingBacktest& backtest) {
  Json rows = Json::array();
  for (const auto& row : backtest.rows)
    rows.push_back({{"name", row.name},
                    {"hardware", row.hardware},
                    {"gpus", row.gpus},
                    {"flop_per_forward", forward_flops(row.model)},
                    {"predicted_s", row.predicted_s},
                    {"low", row.low_s},
                    {"high", row.high_s},
                    {"disclosed_s", row.seconds},
                    {"ratio", row.ratio()},
                    {"covered", row.covered()},
                    {"source", row.source}});
  Json json = to_json(static_cast<const BacktestScore&>(backtest));
  json["rows"] = rows;
  return json;
}

}  // namespace gpumonth::budget
