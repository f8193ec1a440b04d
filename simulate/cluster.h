// A cluster as `gpumonth simulate` sees it, read from configs/clusters/*.toml: hosts of equal GPUs, links inside a host,
// links between hosts, leaf switches above them. Every number stands with its unit, tag and source.
//
//                    core (not blocking)
//                 /        |         \        uplinks: hosts_per_leaf x between / oversubscription, each direction
//              leaf       leaf       leaf
//             / | \       / | \      / | \    between: one host's links to its leaf, all together, each direction
//           host host   host host  host host  inside: one GPU's link to the other GPUs of its host, each direction
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "base/config.h"

namespace gpumonth::simulate {

/// A number with where it comes from; NaN where the file lacks it.
struct Quantity {
  double value = std::numeric_limits<double>::quiet_NaN();
  std::string unit, tag, source;
};

struct Link {
  Quantity bandwidth;   ///< B/s in one direction: the line's rate
  Quantity efficiency;  ///< share of it that a large all-reduce reaches
  Quantity latency;     ///< s from one rank to the next one, software included

  double bytes_per_s() const { return bandwidth.value * efficiency.value; }
};

/// How an all-reduce travels; all_reduce.h says what each costs.
enum class Algorithm : std::uint8_t { ring, hierarchical, tree, fastest };
/// Where a job's hosts are: in as few leaves as it needs, or in turn over these leaves, so that each neighbour is in
/// another leaf (the worst case).
enum class Placement : std::uint8_t { packed, scattered };

struct Cluster {
  std::string name, summary;
  Quantity hosts, gpus_per_host;  ///< hosts: as many as there are
  Link inside, between;
  Quantity hosts_per_leaf, oversubscription;
  Algorithm algorithm = Algorithm::fastest;
  Placement placement = Placement::packed;

  int gpus() const { return static_cast<int>(gpus_per_host.value); }  ///< of one host
};

/// Where a job of so many ranks runs, one rank a GPU.
struct Shape {
  int gpus_per_host = 1, hosts = 1;
  int ranks() const { return gpus_per_host * hosts; }
};

/// Reads and checks a cluster file; overrides are "between.bandwidth.value=25e9". Throws UserError: missing, an unknown
/// key (names the nearest), a number that is missing, out of range, or without tag and source.
Cluster load_cluster(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

/// Throws UserError where the cluster cannot hold the ranks: more than it has, or hosts that would be filled in part.
Shape shape_of(const Cluster& cluster, int ranks);

/// All keys with unit, range and help, as commented TOML.
std::string cluster_help();

}  // namespace gpumonth::simulate
