// Published sampling times of Diffusion Transformers, predicted from the model's dimensions alone: how good the
// arithmetic of inference is. Rows stand in configs/published/sampling.csv, each with its source; what a sampler reaches
// (utilisation, decoder, several GPUs) in sampling.toml beside it, written from other sources than the rows.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "budget/backtest_score.h"

namespace gpumonth::budget {

/// One forward pass over one output.
struct SamplerModel {
  double layers = 0, width = 0, mlp_width = 0;
  double context_tokens = 0;  ///< of text, in cross-attention; 0: none, or they are among `tokens`
  double tokens = 0;          ///< in self-attention
  bool gated_mlp = false;     ///< three products instead of two
};

/// 2 x [L (4 d^2 + m d f) T + 2 L T^2 d], and with C tokens of text 2 x [2 L d^2 (T + C) + 2 L T C d] more; m = 2, or 3
/// where the MLP is gated. Embedding, modulation and the last layer are left out: below 1 % from 1,000 tokens on.
double forward_flops(const SamplerModel& model);

struct SamplingRow {
  std::string name, hardware, source;  ///< hardware: the stem of a file in configs/hardware
  double gpus = 1;
  SamplerModel model = {};
  double steps = 0, forwards_per_step = 1;
  int includes_decoder = -1;                      ///< 1, 0, or -1: not said, taken as 1
  double seconds = 0;                             ///< disclosed, of one output
  double predicted_s = 0, low_s = 0, high_s = 0;  ///< median and 90 %
  double ratio() const { return predicted_s / seconds; }
  bool covered() const { return low_s <= seconds && seconds <= high_s; }
  double width() const { return high_s / low_s; }
  double miss() const { return std::max({1.0, low_s / seconds, seconds / high_s}); }  ///< 1 inside, else above
};

struct SamplingBacktest : BacktestScore {
  std::vector<SamplingRow> rows;
};

/// The rows of a table, not yet predicted. Throws UserError, with file and line: a column is missing or unknown, a field
/// is no number or out of range.
std::vector<SamplingRow> read_sampling_csv(const std::filesystem::path& file);

/// Predicts every row of `table`. `assumptions`: TOML with [inference] utilisation, decode_share and multi_gpu_loss.
/// Devices are looked up in `hardware`, a folder of NAME.toml. Throws UserError where one of them does not fit.
SamplingBacktest sampling_backtest(const std::filesystem::path& table, const std::filesystem::path& assumptions,
                                   const std::filesystem::path& hardware);
/// With the assumptions and devices that the program came with.
SamplingBacktest sampling_backtest(const std::filesystem::path& table);

/// configs/published/sampling.csv beside the program; empty where there is none.
std::filesystem::path shipped_sampling_table();

std::string to_text(const SamplingBacktest& backtest);
Json to_json(const SamplingBacktest& backtest);

}  // namespace gpumonth::budget
