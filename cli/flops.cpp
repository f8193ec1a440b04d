// gpumonth flops MODEL.toml: parameters, arithmetic and memory of a model, per layer and in total.
#include "model/flops.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/standard_output.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "model/memory.h"
#include "model/parameters.h"

namespace gpumonth::cli {
namespace {

using namespace gpumonth::model;

struct Options {
  std::string file, dtype = "bf16", backend = "cpu";
  std::vector<std::string> overrides;
  std::int64_t batch = 1, accumulate = 1, ranks_per_host = 1;
  std::string recompute = "none";
  bool json = false;
};

constexpr MemoryKind kKinds[] = {MemoryKind::weights,   MemoryKind::packed_weights,
                                 MemoryKind::gradients, MemoryKind::optimizer,
                                 MemoryKind::ema,       MemoryKind::activations};

struct Result {
  std::int64_t params;
  ModelConfig model;
  std::vector<LayerFlops> layers;
  std::vector<MemoryPart> memory;
};

double as_double(std::int64_t value) { return static_cast<double>(value); }

void print_json(const Options& options, const Result& r) {
  Json json;
  json["model"] = options.file;
  json["params"] = r.params;
  json["tokens"] = r.model.tokens();
  json["forward_macs_per_sample"] = forward_macs(r.model);
  json["forward_flops_per_sample"] = forward_flops(r.model);
  json["train_flops_per_sample"] = train_flops(r.model);
  json["attention_forward_macs_per_sample"] = attention_forward_macs(r.model);
  json["layers"] = Json::array();
  for (const auto& layer : r.layers) {
    json["layers"].push_back({{"name", layer.name},
                              {"count", layer.count},
                              {"params", layer.parameters},
                              {"forward_macs_per_sample", layer.forward_macs}});
  }
  json["batch_per_rank"] = options.batch;
  json["accumulate"] = options.accumulate;
  json["recompute"] = options.recompute;
  json["dtype"] = options.dtype;
  json["backend"] = options.backend;
  json["ranks_per_host"] = options.ranks_per_host;
  for (const auto kind : kKinds) json["bytes_per_rank"][name(kind)] = sum(r.memory, kind);
  json["bytes_per_rank"]["total"] = sum(r.memory);
  json["memory"] = Json::array();
  for (const auto& part : r.memory) {
    json["memory"].push_back({{"kind", name(part.kind)}, {"what", part.what}, {"bytes", part.bytes}});
  }
  print("{}", to_text(json));
}

std::string layer_table(const Result& r) {
  const double total = as_double(forward_macs(r.model));
  std::vector<std::vector<std::string>> rows = {{"layer", "count", "parameters", "forward MACs/sample", "share"}};
  for (const auto& layer : r.layers) {
    rows.push_back({layer.name, std::to_string(layer.count), si(as_double(layer.parameters), ""),
                    si(as_double(layer.forward_macs), ""),
                    fmt::format("{:.2f} %", 100 * as_double(layer.forward_macs) / total)});
  }
  rows.push_back({"total", "", si(as_double(r.params), ""), si(total, ""), "100.00 %"});
  return table_text(rows);
}

std::string memory_table(const Result& r) {
  std::vector<std::vector<std::string>> rows = {{"memory of one rank", "bytes", ""}};
  for (const auto kind : kKinds) {
    for (const auto& part : r.memory) {
      if (part.kind != kind) continue;
      rows.push_back({fmt::format("{}: {}", name(kind), part.what), fmt::format("{}", part.bytes),
                      binary_bytes(as_double(part.bytes))});
    }
  }
  rows.push_back({"total", fmt::format("{}", sum(r.memory)), binary_bytes(as_double(sum(r.memory)))});
  return table_text(rows);
}

void print_text(const Options& options, const Result& r) {
  const ModelConfig& m = r.model;
  print("{}: depth {}, width {}, {} heads; latents {} x {} x {} x {} (C, F, H, W), patch {} x {} x {}\n\n",
        options.file, m.depth, m.hidden_size, m.num_heads, m.in_channels, m.frames, m.input_size, m.input_size,
        m.temporal_patch_size, m.patch_size, m.patch_size);
  print("parameters           {}  ({})\n", si(as_double(r.params), ""), r.params);
  print("tokens per sample    {}\n", m.tokens());
  print("forward per sample   {} = {}  (1 MAC = 2 FLOPs)\n", si(as_double(forward_macs(m)), "MACs", 5),
        si(as_double(forward_flops(m)), "FLOPs", 5));
  print("training per sample  {}  (forward + backward = 3 x forward)\n", si(as_double(train_flops(m)), "FLOPs", 5));
  if (const auto again = recompute_flops(m, recompute_named(options.recompute)); again > 0)
    print("computed again       {}  (recompute {}: {:.1f} % more work)\n", si(as_double(again), "FLOPs", 5),
          options.recompute, 100 * as_double(again) / as_double(train_flops(m)));
  print("\n{}\n{}", layer_table(r), memory_table(r));
  if (options.backend == "cpu" && options.ranks_per_host > 1)
    print("(of what the {} ranks of a host hold in common: one rank's share)\n", options.ranks_per_host);
  print("({} per rank{}, {}; without the batch itself, communication buffers and library workspaces)\n",
        options.batch == 1 ? "1 sample" : fmt::format("{} samples", options.batch),
        options.accumulate > 1 ? fmt::format(" in {} micro-batches", options.accumulate) : "", options.dtype);
}

/// CPU ranks of one host hold the state once; GPUs hold it each.
MemoryLayout layout(const Options& options) {
  const Recompute recompute = recompute_named(options.recompute);
  if (options.backend == "cuda") return {.packed = false, .recompute = recompute, .accumulate = options.accumulate};
  return {.packed = true,
          .weight_ranks = options.ranks_per_host,
          .optimizer_ranks = options.ranks_per_host,
          .recompute = recompute,
          .accumulate = options.accumulate};
}

void run(const Options& options) {
  if (options.batch % options.accumulate != 0)
    user_error("--batch {} is not divisible by --accumulate {}: use a multiple, e.g. --batch {}", options.batch,
               options.accumulate, (options.batch / options.accumulate + 1) * options.accumulate);
  const ModelConfig model = load_model(options.file, options.overrides);
  const Dtype dtype = options.dtype == "fp32" ? Dtype::fp32 : Dtype::bf16;
  const Result result{ParameterTable(model).count(), model, layer_flops(model),
                      memory_parts(model, options.batch, dtype, layout(options))};
  options.json ? print_json(options, result) : print_text(options, result);
}

}  // namespace

void add_flops(Command app) {
  Command command = app.add_command("flops", "parameters, MACs, FLOPs and bytes of a model, per layer and in total");
  const auto options = std::make_shared<Options>();
  command.add_option("MODEL.toml", options->file, "model file, e.g. configs/models/dit-s-2.toml")
      .required()
      .type_name("");
  command.add_set_option(options->overrides);
  command.add_option("--batch", options->batch, "samples per rank and step, for the memory of the activations")
      .type_name("SAMPLES")
      .range(std::int64_t{1}, std::int64_t{1} << 16)
      .show_default();
  command
      .add_option("--accumulate", options->accumulate, "micro-batches of a step: activations of one of them are held")
      .type_name("MICRO_BATCHES")
      .range(std::int64_t{1}, std::int64_t{1} << 16)
      .show_default();
  command.add_option("--recompute", options->recompute, "what backward computes again, as run.recompute")
      .type_name("WHAT")
      .is_member({"none", "linear", "full"})
      .show_default();
  command.add_option("--dtype", options->dtype, "compute type; master weights are fp32")
      .type_name("TYPE")
      .is_member({"fp32", "bf16"})
      .show_default();
  command.add_option("--backend", options->backend, "where it trains, for the memory")
      .type_name("BACKEND")
      .is_member({"cpu", "cuda"})
      .show_default();
  command
      .add_option("--ranks-per-host", options->ranks_per_host,
                  "CPU ranks of one host, which hold weights and optimizer state in common")
      .type_name("RANKS")
      .range(std::int64_t{1}, std::int64_t{256})
      .show_default();
  command.add_json_flag(options->json);
  command.add_help_config_flag([] {
    config::Table root;
    ModelConfig model;
    declare(root.table("model"), model);
    return config::help_text(root);
  });
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
