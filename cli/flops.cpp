// gpumonth flops MODEL.toml: parameters, arithmetic and memory of a model, per layer and in total, and what ranks send.
#include "model/flops.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/format.h"
#include "base/json.h"
#include "base/standard_output.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "model/communication.h"
#include "model/parameters.h"
#include "model/sequence_ranks.h"

namespace gpumonth::cli {
namespace {

using namespace gpumonth::model;

struct Options {
  std::string file, dtype = "bf16", backend = "cpu";
  std::vector<std::string> overrides;
  std::int64_t batch = 1, accumulate = 1, ranks_per_host = 1;
  std::int64_t ranks = 0, shard_group = 0, sequence_parallel = 1;  // ranks 0: those of one host
  std::string recompute = "none", sharding = "none", reduce_dtype = "fp32";
  double link = 0;  // GB/s, 0: not given
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
  TrainingLayout layout;
  std::vector<SentPart> sent;
};

constexpr SentKind kSent[] = {SentKind::reduced, SentKind::gathered, SentKind::exchanged};

/// What can hide behind forward's or backward's own work, and how fast that may be.
struct Hidden {
  const char* phase;
  double bytes, flops;
};

/// All-to-alls are waited for; the update follows everything.
std::vector<Hidden> hidden_parts(const Options& options, const Result& r) {
  const double forward =
      static_cast<double>(forward_flops(r.model) * options.batch) / static_cast<double>(r.layout.sequence_ranks);
  const double again = static_cast<double>(recompute_flops(r.model, r.layout.recompute) * options.batch) /
                       static_cast<double>(r.layout.sequence_ranks);
  std::vector<Hidden> parts = {{"forward", 0, forward}, {"backward", 0, 2 * forward + again}};
  for (const SentPart& part : r.sent) {
    if (part.kind == SentKind::exchanged || part.phase == SentPhase::update) continue;
    parts[part.phase == SentPhase::forward ? 0 : 1].bytes += static_cast<double>(part.bytes);
  }
  std::erase_if(parts, [](const Hidden& part) { return part.bytes == 0; });
  return parts;
}

constexpr double kGigabyte = 1e9;

double as_double(std::int64_t value) { return static_cast<double>(value); }

void add_ranks(const Options& options, const Result& r, Json& json) {
  json["ranks"] = r.layout.ranks;
  json["sharding"] = options.sharding;
  json["shard_group"] = r.layout.shard_ranks();
  json["sequence_parallel"] = options.sequence_parallel;
  json["reduce_dtype"] = options.reduce_dtype;
  for (const auto kind : kSent) json["sent_bytes_per_rank"][name(kind)] = sum(r.sent, kind);
  json["sent_bytes_per_rank"]["total"] = sum(r.sent);
  json["sent"] = Json::array();
  for (const auto& part : r.sent)
    json["sent"].push_back(
        {{"kind", name(part.kind)}, {"phase", name(part.phase)}, {"what", part.what}, {"bytes", part.bytes}});
  if (options.link == 0) return;
  json["link_bytes_per_s"] = options.link * kGigabyte;
  json["sent_s"] = as_double(sum(r.sent)) / (options.link * kGigabyte);
  json["hidden_below"] = Json::array();
  for (const Hidden& part : hidden_parts(options, r))
    json["hidden_below"].push_back({{"phase", part.phase},
                                    {"s", part.bytes / (options.link * kGigabyte)},
                                    {"flops_per_s", part.flops * options.link * kGigabyte / part.bytes}});
}

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
  add_ranks(options, r, json);
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

std::string sent_table(const Options& options, const Result& r) {
  const auto seconds = [&](std::int64_t bytes) {
    return options.link == 0 ? "" : compact(as_double(bytes) / (options.link * kGigabyte)) + " s";
  };
  std::vector<std::vector<std::string>> rows = {{"sent by one rank in a step", "in", "bytes", "",
                                                 options.link == 0 ? "" : fmt::format("at {:g} GB/s", options.link)}};
  for (const auto kind : kSent)
    for (const auto& part : r.sent)
      if (part.kind == kind)
        rows.push_back({fmt::format("{}: {}", name(kind), part.what), name(part.phase), fmt::format("{}", part.bytes),
                        binary_bytes(as_double(part.bytes)), seconds(part.bytes)});
  rows.push_back(
      {"total", "", fmt::format("{}", sum(r.sent)), binary_bytes(as_double(sum(r.sent))), seconds(sum(r.sent))});
  return table_text(rows);
}

/// "4,096 ranks in groups of 8 that share samples, full sharding".
std::string layout_text(const Result& r) {
  std::string text = fmt::format("{} ranks", grouped(as_double(r.layout.ranks)));
  if (r.layout.sequence_ranks > 1) text += fmt::format(", {} share a sample's tokens", r.layout.sequence_ranks);
  text += r.layout.sharding == Sharding::none ? ", no sharding" : fmt::format(", {} sharding", name(r.layout.sharding));
  if (r.layout.sharding == Sharding::full && r.layout.shard_ranks() < r.layout.ranks)
    text += fmt::format(" in groups of {}", r.layout.shard_ranks());
  return text;
}

void print_sent(const Options& options, const Result& r) {
  if (r.layout.ranks == 1) return;
  print("\n{}({}; as rings send; without the norm, loss and stop signals)\n", sent_table(options, r), layout_text(r));
  if (options.link == 0) return;
  for (const Hidden& part : hidden_parts(options, r))
    print("{} hides what it sends while a rank computes at most {}\n", part.phase,
          si(part.flops * options.link * kGigabyte / part.bytes, "FLOP/s", 3));
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
  if (r.layout.state_in_common())
    print("(of what the {} ranks of a host hold in common: one rank's share)\n", options.ranks_per_host);
  print("({} per rank{}, {}; without the batch itself, communication buffers and library workspaces)\n",
        options.batch == 1 ? "1 sample" : fmt::format("{} samples", options.batch),
        options.accumulate > 1 ? fmt::format(" in {} micro-batches", options.accumulate) : "", options.dtype);
  print_sent(options, r);
}

TrainingLayout layout(const Options& options) {
  return {.ranks = options.ranks > 0 ? options.ranks : options.ranks_per_host,
          .sharding = sharding_named(options.sharding),
          .shard_group = options.shard_group,
          .sequence_ranks = options.sequence_parallel,
          .gpu = options.backend == "cuda",
          .ranks_per_host = options.ranks_per_host,
          .recompute = recompute_named(options.recompute),
          .accumulate = options.accumulate,
          .wire = dtype_named(options.reduce_dtype)};
}

/// "2 or 8" around 5 of 24: the next numbers that divide.
std::string nearest_divisors(std::int64_t ranks, std::int64_t number) {
  std::int64_t below = number, above = number;
  while (ranks % below != 0) --below;
  while (ranks % above != 0) ++above;
  return fmt::format("{} or {}", below, above);
}

void check(const Options& options, const TrainingLayout& layout, const ModelConfig& model) {
  const std::int64_t ranks = layout.ranks;
  if (options.batch % options.accumulate != 0)
    user_error("--batch {} is not divisible by --accumulate {}: use a multiple, e.g. --batch {}", options.batch,
               options.accumulate, (options.batch / options.accumulate + 1) * options.accumulate);
  if (ranks % layout.ranks_per_host != 0)
    user_error("--ranks {} is not a multiple of --ranks-per-host {}: hosts have as many ranks each", ranks,
               layout.ranks_per_host);
  if (options.shard_group > 0 && layout.sharding != Sharding::full)
    user_error("--shard-group {} is of full sharding: add --sharding full", options.shard_group);
  for (const auto& [option, number] :
       {std::pair{"--shard-group", options.shard_group}, std::pair{"--sequence-parallel", options.sequence_parallel}}) {
    if (number > ranks)
      user_error("{} {} is more than {} rank{}: set --ranks to a multiple", option, number, ranks,
                 ranks == 1 ? "" : "s");
    if (number > 0 && ranks % number != 0)
      user_error("{} {} does not divide the {} ranks: take {}", option, number, ranks, nearest_divisors(ranks, number));
  }
  if (const auto why = why_not_shared(model, options.sequence_parallel))
    user_error("--sequence-parallel {}: {}", options.sequence_parallel, *why);
  if (layout.wire == Dtype::bf16 && !layout.gpu)
    user_error("--reduce-dtype bf16 is of GPUs: add --backend cuda, as comm.wire = \"bf16\" needs NCCL");
}

void run(const Options& options) {
  const ModelConfig model = load_model(options.file, options.overrides);
  const TrainingLayout ranks = layout(options);
  check(options, ranks, model);
  const Dtype dtype = dtype_named(options.dtype);
  const Result result{ParameterTable(model).count(),
                      model,
                      layer_flops(model),
                      memory_parts(model, options.batch, dtype, memory_layout(ranks)),
                      ranks,
                      sent_parts(model, options.batch, dtype, ranks)};
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
  command
      .add_option("--batch", options->batch,
                  "samples per rank and step (where ranks share samples: those that it has a part of)")
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
                  "CPU ranks of one host, which hold weights and optimizer state in common where they are all")
      .type_name("RANKS")
      .range(std::int64_t{1}, std::int64_t{256})
      .show_default();
  command.add_option("--ranks", options->ranks, "all ranks, for what they share and send; without it those of a host")
      .type_name("RANKS")
      .range(std::int64_t{1}, std::int64_t{1} << 20);
  command.add_option("--sharding", options->sharding, "which state ranks hold a share each of, as comm.sharding")
      .type_name("WHAT")
      .is_member({"none", "optimizer", "full"})
      .show_default();
  command
      .add_option("--shard-group", options->shard_group,
                  "ranks that shard among themselves, as comm.shard_group; without it all")
      .type_name("RANKS")
      .range(std::int64_t{2}, std::int64_t{1} << 20);
  command
      .add_option("--sequence-parallel", options->sequence_parallel,
                  "ranks that share a sample's tokens, as run.sequence_parallel")
      .type_name("RANKS")
      .range(std::int64_t{1}, std::int64_t{1} << 20)
      .show_default();
  command.add_option("--reduce-dtype", options->reduce_dtype, "type of gradients on their way, as comm.wire")
      .type_name("TYPE")
      .is_member({"fp32", "bf16"})
      .show_default();
  command.add_option("--link", options->link, "what a rank sends in a second, GB/s: adds the time that it takes")
      .type_name("GB_PER_S")
      .range(1e-3, 1e6);
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
