#include "budget/formulas/measured_layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/format.h"
#include "budget/formulas/quantities.h"

namespace gpumonth::budget {
namespace {

/// What is left out, by reason.
using LeftOut = std::map<std::string, std::vector<std::string>>;

std::string to_text(const LeftOut& left_out) {
  std::string text;
  for (const auto& [why, paths] : left_out)
    text += fmt::format("{}{} ({})", text.empty() ? "" : "; ", fmt::join(paths, ", "), why);
  return text;
}

std::size_t lengths_of(const std::vector<LayerLog>& logs) {
  std::set<double> lengths;
  for (const auto& log : logs) lengths.insert(log.tokens);
  return lengths.size();
}

/// Logs of one device and number of ranks, at the most lengths; of several such the scenario's own device first.
std::vector<LayerLog> widest(const std::vector<LayerLog>& logs, const model::Hardware& device) {
  std::map<std::pair<std::string, int>, std::vector<LayerLog>> groups;
  for (const auto& log : logs) groups[{log.device_name, log.ranks}].push_back(log);
  std::vector<LayerLog> best;
  const auto size = [&](const std::vector<LayerLog>& group) {
    const bool own = !group.empty() && model::match({device}, group.front().device_name) != nullptr;
    return std::pair(lengths_of(group), own);
  };
  for (const auto& [key, group] : groups)
    if (best.empty() || size(group) > size(best)) best = group;
  return best;
}

Number as_number(const LayerUtilisation& utilisation, const MeasuredLayers& layers) {
  Number number;
  number.low = utilisation.low;
  number.high = utilisation.high;
  for (const auto& log : layers.fit.logs) {
    number.inputs.push_back("run " + log.path);
    number.tag = std::max(number.tag, tag_of(log.origin));
  }
  if (layers.carried_over) number = number * carried_over();
  return number.as("1",
                   "model FLOPs / (seconds of the blocks, a T + b T^2, x peak), harmonic mean by FLOPs over lengths");
}

MeasuredLayers evaluated(const Scenario& s, LayerFit fit) {
  MeasuredLayers layers{.fit = std::move(fit), .lengths = training_lengths(s)};
  layers.carried_over = model::match({s.hardware}, layers.fit.logs.front().device_name) == nullptr;
  const auto at = [&](const std::string& recompute, const LengthShares& lengths) {
    return as_number(utilisation_at(layers.fit, s.model, s.hardware.peak_flops_per_s, recompute, lengths), layers);
  };
  for (const auto& length : layers.lengths) layers.mfu.push_back(at(s.plan.recompute, {{length.id, 1, length.tokens}}));
  layers.utilisation = at(s.plan.recompute, layers.lengths);
  layers.without_recompute = at("none", layers.lengths);
  return layers;
}

/// Nothing, and why, where the logs' times are none of a block.
std::optional<MeasuredLayers> layers_of(const Scenario& s, const std::vector<LayerLog>& logs, std::string& why) {
  try {
    MeasuredLayers layers = evaluated(s, fit_layers(logs));
    if (layers.without_recompute.low < 1) return layers;
    why = "its blocks exceed the peak, which is not this machine's";
  } catch (const UserError& error) {
    why = error.what();
  }
  return std::nullopt;
}

std::string fit_note(const MeasuredLayers& layers, const LeftOut& left_out) {
  std::string note = layers.fit.has_residual
                         ? fmt::format("layers as measured: {} lengths, residuals are within {:.1f} % (90 %)",
                                       layers.fit.lengths, 100 * layers.fit.model_error)
                         : fmt::format(
                               "layers as measured: of two lengths there is no residual: {:.0f} % are assumed for "
                               "what a T + b T^2 leaves out; a log at a third length would say",
                               100 * layers.fit.model_error);
  if (!left_out.empty()) note += ". Left out: " + to_text(left_out);
  return note;
}

/// Stages of the same length are one.
LengthShares stage_lengths(const Curriculum& curriculum, const model::ModelConfig& model) {
  const double all = curriculum.training_flops_per_token(model);
  LengthShares lengths;
  for (const auto& stage : curriculum.stages) {
    const double share = stage.token_share * training_flops_per_token(model, stage.tokens) / all;
    const auto tokens = static_cast<double>(stage.tokens);
    const auto same = std::ranges::find(lengths, tokens, &LengthShare::tokens);
    if (same != lengths.end()) {
      same->flop_share += share;
      continue;
    }
    lengths.push_back({stage.id, share, tokens});
    std::ranges::replace(lengths.back().id, '-', '_');
  }
  return lengths;
}

}  // namespace

LengthShares training_lengths(const Scenario& s) {
  if (s.is_by_law()) return stage_lengths(*s.curriculum, s.model);
  const auto tokens = static_cast<double>(s.model.tokens());
  if (!s.model.is_video()) return {{"sample", 1, tokens}};
  const Inputs<Number> in(s);
  const double share = (video_share(in).low + video_share(in).high) / 2;
  const double clips = share * clip_training_flops(in).low, images = (1 - share) * image_training_flops(in).low;
  LengthShares lengths;
  if (clips > 0) lengths.push_back({"clip", clips / (clips + images), tokens});
  if (images > 0) lengths.push_back({"image", images / (clips + images), static_cast<double>(image_model(s).tokens())});
  return lengths;
}

std::optional<MeasuredLayers> measured_layers(const Scenario& s, const std::vector<Efficiency>& runs,
                                              std::vector<std::string>& notes) {
  if (runs.empty() || s.has("training.flop_per_sample")) return std::nullopt;
  std::vector<LayerLog> logs;
  LeftOut left_out;
  for (const auto& run : runs) {
    if (const auto why = why_other_layers(run, s.model, s.hardware); why.empty())
      logs.push_back(layer_log(run));
    else
      left_out[why].push_back(run.path);
  }
  const auto chosen = widest(logs, s.hardware);
  const auto is_chosen = [&](const LayerLog& log) {
    return std::ranges::any_of(chosen, [&](const LayerLog& other) { return other.path == log.path; });
  };
  for (const auto& log : logs)
    if (!is_chosen(log)) left_out[fmt::format("{} on {} ranks", log.device_name, log.ranks)].push_back(log.path);
  std::string why = chosen.empty() ? "no log is of the scenario's blocks" : "its blocks were measured at one length";
  if (lengths_of(chosen) >= 2) {
    if (auto layers = layers_of(s, chosen, why)) {
      notes.push_back(fit_note(*layers, left_out));
      return layers;
    }
  }
  std::string note = "layers as measured: none, " + why + ", and the MFU of the runs is carried over to any length";
  if (!left_out.empty()) note += ": " + to_text(left_out);
  notes.push_back(note);
  return std::nullopt;
}

std::string measured_lengths(const LayerFit& fit) {
  std::vector<std::string> lengths;
  for (const auto& log : fit.logs)
    if (const auto text = grouped(log.tokens); lengths.empty() || lengths.back() != text) lengths.push_back(text);
  const std::string last = lengths.back();
  lengths.pop_back();
  return fmt::format("{} and {} tokens", fmt::join(lengths, ", "), last);
}

}  // namespace gpumonth::budget
