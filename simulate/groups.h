// Which ranks a collective is among, and how its bytes go between hosts. A job's groups communicate at the same time.
//
//   everybody      all ranks of the job
//   consecutive    ranks 0 to g-1, g to 2g-1, ...: of one host where g divides its ranks, else whole hosts beside each other
//   replicas       ranks at the same place in each of those: as many such groups as a consecutive one has ranks
#pragma once

#include <compare>
#include <string>

#include "simulate/cluster.h"

namespace gpumonth::simulate {

/// Between hosts: to the next one of its group, `stride` hosts on, or to all others of it, in equal parts.
struct Route {
  int hosts = 1, stride = 1;
  bool all_pairs = false;
  auto operator<=>(const Route&) const = default;
};

struct Group {
  Shape shape;      ///< of one group
  int at_once = 1;  ///< groups that share a host's links
  Route route;
};

Group everybody(const Shape& job);
/// `ranks`, of the job: a divisor that fills hosts or divides them. UserError otherwise, which begins with `option`.
Group consecutive(const Shape& job, int ranks, const std::string& option);
/// One rank each of the job's consecutive groups of so many, which are as above.
Group replicas(const Shape& job, int ranks);

}  // namespace gpumonth::simulate
