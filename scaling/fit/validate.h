// How good the forecasts are, on curves whose end is known: rolling origin.
//
// Every curve of throughput with at least 4 rank counts is cut after its third, fourth, ... and every later
// point is forecast from those before the cut, by this fit and by the baselines. The fit never sees what it
// forecasts, and its priors are constants. A baseline has no interval of its own; it gets the best simple
// one: exp(+-q sqrt(log2(N / N_train))) around its forecast, q the 90 % quantile of its own scaled errors on
// all other curves.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "scaling/curve.h"
#include "scaling/fit/fit.h"

namespace gpumonth::scaling {

constexpr int kMethods = 5;  ///< ours, then kBaselines
std::string method_name(int method);

struct Forecast {
  std::string curve;
  bool weak = false;
  std::int64_t ranks_train = 0, ranks = 0;  ///< the most that was fitted, and what was forecast
  double batch_per_rank = kUnknownBatch, measured = 0;
  struct Value {
    double value = 0, low = 0, high = 0;  ///< 90 %
  } method[kMethods];
};

/// Of the forecasts of one class; errors and widths in per cent of the measured throughput.
struct Score {
  double median_error = 0, mean_error = 0, worst_error = 0, coverage = 0, median_width = 0;
  /// Mean of (high - low) + 20 x how far the measured value lies outside (Gneiting and Raftery 2007, 90 %).
  double interval_score = 0;
};

struct ScoreClass {
  std::string name;  ///< "weak, N/N_train <= 2.5"
  std::size_t forecasts = 0;
  Score method[kMethods];
};

/// With a 90 % interval that whole families (family.h) were resampled for.
struct PairedDifference {
  double value = 0, low = 0, high = 0;
};

/// How forecasts fare where a batch that causes nothing is given (false_batch.h).
struct FalseBatchScore {
  std::string column;
  std::size_t forecasts = 0;
  Score score;
};

struct Validation {
  std::vector<Forecast> forecasts;
  std::vector<ScoreClass> classes;  ///< without empty ones; the last pools all
  std::size_t families = 0;
  PairedDifference mean_error[kMethods], interval_score[kMethods];  ///< ours less theirs; of 3 families or more, else 0
  std::vector<FalseBatchScore> false_batch;  ///< the first without a column; empty where no curve is fit
  std::vector<std::string> notes;            ///< curves that were left out, and why
};

/// Throws UserError where no curve can be validated.
Validation validate(const std::vector<ScalingCurve>& curves, const FitOptions& options = {});

std::string to_text(const Validation& validation);
Json to_json(const Validation& validation);

}  // namespace gpumonth::scaling
