#include "simulate/groups.h"

#include "base/error.h"

namespace gpumonth::simulate {

Group everybody(const Shape& job) { return {job, 1, {job.hosts, 1}}; }

Group consecutive(const Shape& job, int ranks, const std::string& option) {
  if (ranks < 1 || job.ranks() % ranks != 0)
    user_error("{} {} does not divide {} rank{}: give a divisor of --ranks", option, ranks, job.ranks(),
               job.ranks() == 1 ? "" : "s");
  const int gpus = job.gpus_per_host;
  if (ranks <= gpus && gpus % ranks == 0) return {{ranks, 1}, gpus / ranks, {}};
  if (ranks % gpus == 0) return {{gpus, ranks / gpus}, 1, {ranks / gpus, 1}};
  user_error(
      "{} {}: groups of {} ranks neither divide a host of {} ranks nor fill hosts: give a divisor or a multiple of {}",
      option, ranks, ranks, gpus, gpus);
}

Group replicas(const Shape& job, int ranks) {
  const int gpus = job.gpus_per_host;
  if (ranks <= gpus) return {{gpus / ranks, job.hosts}, ranks, {job.hosts, 1}};
  const int hosts_of_group = ranks / gpus;
  return {{1, job.hosts / hosts_of_group}, gpus, {job.hosts / hosts_of_group, hosts_of_group}};
}

}  // namespace gpumonth::simulate
