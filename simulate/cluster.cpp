#include "simulate/cluster.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/error.h"
#include "base/shipped.h"

namespace gpumonth::simulate {
namespace {

/// One number of the file: "between.bandwidth", what it is, and between which ends.
struct Key {
  const char *table, *name, *unit, *help;
  double min, max;
  bool whole;
  Quantity& (*in)(Cluster&);
};

constexpr std::array kKeys{
    Key{"hosts", "count", "1", "hosts that there are", 1, 1e6, true, [](Cluster& c) -> Quantity& { return c.hosts; }},
    Key{"hosts", "gpus", "1", "GPUs of a host, a rank each", 1, 1024, true,
        [](Cluster& c) -> Quantity& { return c.gpus_per_host; }},
    Key{"inside", "bandwidth", "B/s", "of one GPU's link to those of its host, in one direction", 1e6, 1e14, false,
        [](Cluster& c) -> Quantity& { return c.inside.bandwidth; }},
    Key{"inside", "efficiency", "1", "share of the bandwidth that a large all-reduce reaches", 0.01, 1, false,
        [](Cluster& c) -> Quantity& { return c.inside.efficiency; }},
    Key{"inside", "latency", "s", "from one GPU of a host to the next, software included", 0, 1, false,
        [](Cluster& c) -> Quantity& { return c.inside.latency; }},
    Key{"between", "bandwidth", "B/s", "of one host's links to the others, all together, in one direction", 1e3, 1e15,
        false, [](Cluster& c) -> Quantity& { return c.between.bandwidth; }},
    Key{"between", "efficiency", "1", "share of the bandwidth that a large all-reduce reaches", 0.01, 1, false,
        [](Cluster& c) -> Quantity& { return c.between.efficiency; }},
    Key{"between", "latency", "s", "from one host to the next, software included", 0, 1, false,
        [](Cluster& c) -> Quantity& { return c.between.latency; }},
    Key{"topology", "hosts_per_leaf", "1", "hosts below one leaf switch (of each rail, where there are rails)", 1, 1e6,
        true, [](Cluster& c) -> Quantity& { return c.hosts_per_leaf; }},
    Key{"topology", "oversubscription", "1", "bandwidth of a leaf's hosts over that of its uplinks; 1: none", 1, 100,
        false, [](Cluster& c) -> Quantity& { return c.oversubscription; }},
};

constexpr int kMostRanks = 1'000'000;  // runlog/schema.cpp: world_size
constexpr std::array kAlgorithms{"ring", "hierarchical", "tree", "fastest"};
constexpr std::array kPlacements{"packed", "scattered"};

/// What the file's words become.
struct Words {
  std::string algorithm = "fastest", placement = "packed";
};

template <class Names>
std::size_t place_of(const std::string& word, const Names& names) {
  std::size_t place = 0;
  while (word != names[place]) ++place;  // the table took no other word
  return place;
}

void declare(config::Table& root, Cluster& cluster, Words& words) {
  root.field("name", cluster.name, {.help = "as people say it"});
  root.field("summary", cluster.summary, {.help = "one sentence"});
  for (const Key& key : kKeys) {
    Quantity& quantity = key.in(cluster);
    config::Table& table = root.table(key.table).table(key.name);
    table.field("value", quantity.value, {.unit = key.unit, .min = key.min, .max = key.max, .help = key.help});
    table.field("unit", quantity.unit, {.one_of = {key.unit}, .help = "unit of the number"});
    table.field("tag", quantity.tag,
                {.one_of = {"measured", "published", "fitted", "assumed"}, .help = "where the number comes from"});
    table.field("source", quantity.source, {.help = "who says so"});
  }
  root.table("topology")
      .field("placement", words.placement,
             {.one_of = {kPlacements.begin(), kPlacements.end()},
              .help = "a job's hosts: as few leaves as possible, or each neighbour in another leaf"});
  root.table("all_reduce")
      .field("algorithm", words.algorithm,
             {.one_of = {kAlgorithms.begin(), kAlgorithms.end()},
              .help = "fastest: ring or tree, whichever takes less time for the bucket, as NCCL chooses"});
}

void check(const Key& key, const Quantity& quantity, const std::string& file) {
  const std::string name = fmt::format("{}.{}", key.table, key.name);
  if (!std::isfinite(quantity.value))
    user_error(
        "{}: {} is missing: write {} = {{ value = ..., unit = \"{}\", tag = \"published\", source = \"...\" }} "
        "in [{}] ({})",
        file, name, key.name, key.unit, key.table, key.help);
  if (quantity.unit.empty() || quantity.tag.empty() || quantity.source.empty())
    user_error("{}: {} needs unit, tag and source: say where {:g} {} comes from", file, name, quantity.value, key.unit);
  if (key.whole && quantity.value != std::floor(quantity.value))
    user_error("{}: {} is {:g}, it must be a whole number ({})", file, name, quantity.value, key.help);
}

}  // namespace

Cluster load_cluster(const std::filesystem::path& named, const std::vector<std::string>& overrides) {
  const std::filesystem::path file = shipped_file(named);
  Cluster cluster;
  Words words;
  config::Table root;
  declare(root, cluster, words);
  config::load(root, file, overrides);
  for (const Key& key : kKeys) check(key, key.in(cluster), file.string());
  cluster.algorithm = static_cast<Algorithm>(place_of(words.algorithm, kAlgorithms));
  cluster.placement = static_cast<Placement>(place_of(words.placement, kPlacements));
  if (cluster.name.empty()) cluster.name = file.stem().string();
  return cluster;
}

Shape shape_of(const Cluster& cluster, int ranks) {
  const int gpus = cluster.gpus();
  if (ranks < 1) user_error("--ranks {}: a job has one rank or more", ranks);
  if (ranks > kMostRanks)
    user_error("--ranks {}: a run log has at most {} ranks, so no more are simulated", ranks, kMostRanks);
  if (ranks <= gpus) return {ranks, 1};
  const double most = cluster.hosts.value * gpus;
  if (ranks > most)
    user_error(
        "{} has {:.0f} hosts of {} GPUs and cannot hold {} ranks: give --ranks of at most {:.0f}, or raise "
        "hosts.count (--set hosts.count.value=...)",
        cluster.name, cluster.hosts.value, gpus, ranks, most);
  if (ranks % gpus != 0)
    user_error("{} ranks do not fill hosts of {} GPUs ({}): give {} or {}", ranks, gpus, cluster.name,
               ranks - ranks % gpus, ranks - ranks % gpus + gpus);
  return {gpus, ranks / gpus};
}

std::string cluster_help() {
  Cluster cluster;
  Words words;
  config::Table root;
  declare(root, cluster, words);
  return config::help_text(root);
}

}  // namespace gpumonth::simulate
