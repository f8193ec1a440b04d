#include "budget/inputs/layer_logs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "budget/inputs/block_flops.h"
#include "model/flops.h"

namespace gpumonth::budget {
namespace {

constexpr double kSame = 1e-3;  // of two peaks, or of two numbers of tokens

bool is_same(double a, double b) { return std::abs(a - b) <= kSame * b; }

/// The scenario's device, or one of the same datasheet peak.
bool is_same_peak(const Efficiency& run, const model::Hardware& device) {
  return model::match({device}, run.device_name) != nullptr ||
         (!run.peak_is_measured && is_same(run.peak_flops_per_s, device.peak_flops_per_s));
}

std::string other_shape(const model::ModelConfig& logged, const model::ModelConfig& wanted) {
  const auto differs = [](const char* what, double is, double should) {
    return fmt::format("{} {}, not {}", what, grouped(is), grouped(should));
  };
  if (logged.hidden_size != wanted.hidden_size) return differs("width", logged.hidden_size, wanted.hidden_size);
  if (logged.head_dim() != wanted.head_dim()) return differs("head size", logged.head_dim(), wanted.head_dim());
  if (logged.mlp_hidden() != wanted.mlp_hidden()) return differs("MLP width", logged.mlp_hidden(), wanted.mlp_hidden());
  if (logged.patch_volume() != wanted.patch_volume())
    return differs("patch volume", logged.patch_volume(), wanted.patch_volume());
  return "";
}

/// Share of the model's FLOPs that its blocks have.
double share_of_blocks(const model::ModelConfig& model) {
  double blocks = 0;
  for (const auto& layer : model::layer_flops(model))
    if (layer.name.starts_with("blocks.")) blocks += static_cast<double>(layer.forward_macs);
  return blocks / static_cast<double>(model::forward_macs(model));
}

}  // namespace

std::optional<model::ModelConfig> logged_model(const Efficiency& run) {
  if (run.facts.model_keys.empty()) return std::nullopt;
  std::string text = "[model]\n";
  for (const auto& [key, value] : run.facts.model_keys) text += key + " = " + value + "\n";
  try {
    model::ModelConfig model;
    config::Table root;
    model::declare(root.table("model"), model);
    config::load_text(root, text, run.path);
    model::validate(model);
    return model;
  } catch (const UserError&) {  // of a version with other keys
    return std::nullopt;
  }
}

std::string why_other_layers(const Efficiency& run, const model::ModelConfig& model, const model::Hardware& device) {
  if (!run.has_steps()) return "no steady steps";
  const auto logged = logged_model(run);
  if (!logged) return "no model in the logged configuration";
  if (const auto shape = other_shape(*logged, model); !shape.empty()) return shape;
  if (run.dtype != "bf16") return fmt::format("type {}, not bf16", run.dtype);
  if (!is_same_peak(run, device)) return fmt::format("{}, not {} or its peak", run.device_name, device.name);
  if (!is_same(run.facts.tokens_per_sample, static_cast<double>(logged->tokens())))
    return "samples that have not the model's number of tokens";
  const auto is_time = [](double seconds) { return std::isfinite(seconds) && seconds > 0; };
  if (run.forward_s.empty() || !std::ranges::all_of(run.forward_s, is_time) ||
      !std::ranges::all_of(run.backward_s, is_time))
    return "no times of forward and backward";
  return "";
}

LayerLog layer_log(const Efficiency& run) {
  const model::ModelConfig model = *logged_model(run);
  LayerLog log{.path = run.path,
               .device_name = run.device_name,
               .origin = run.origin,
               .ranks = run.ranks,
               .tokens = run.facts.tokens_per_sample,
               .forward_s = {},
               .all_s = {}};
  const double per_block = share_of_blocks(model) / model.depth;
  const double again = run.hardware_over_model_flops > 1 ? recomputed_share(model) : 0;
  for (std::size_t i = 0; i < run.forward_s.size(); ++i) {
    log.forward_s.push_back(run.forward_s[i] * per_block);
    log.all_s.push_back((run.forward_s[i] * (1 - again) + run.backward_s[i]) * per_block);
  }
  return log;
}

}  // namespace gpumonth::budget
