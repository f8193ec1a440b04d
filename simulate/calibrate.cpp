#include "simulate/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/quantile.h"
#include "scaling/fit/nnls.h"
#include "simulate/all_reduce.h"

namespace gpumonth::simulate {
namespace {

/// One size of one log.
struct Measured {
  Traffic traffic;
  double bytes = 0, seconds = 0;
};

Shape shape_of_log(const runlog::Run& log) {
  const int ranks = log.info.world_size;
  const int hosts = std::max(1, runlog::host_count(log.info));
  if (ranks < 2) user_error("{}: --calibrate needs all-reduces of two ranks or more, and this log is of one", log.path);
  if (ranks % hosts != 0)
    user_error("{}: {} ranks on {} hosts are not as many on each: measure with equal hosts", log.path, ranks, hosts);
  return {ranks / hosts, hosts};
}

void append(std::vector<Measured>& all, const runlog::Run& log, const Traffic& traffic) {
  for (const runlog::CommRecord& row : log.comm.rows)
    if (row.bytes >= kSmallestBucketBytes && row.median_s > 0)
      all.push_back({traffic, static_cast<double>(row.bytes), row.median_s});
}

void require_all_reduce(const runlog::Run& log) {
  if (log.comm.rows.empty())
    user_error("{}: no collective was measured in this log: give one of gpumonth comm --log FILE", log.path);
  if (log.comm.operation != "all_reduce")
    user_error("{}: these are times of {}, and --calibrate takes those of all_reduce: gpumonth comm --op all_reduce",
               log.path, log.comm.operation);
}

/// hops x latency + share x bytes / bandwidth, of one level.
struct Level {
  const char* name;
  double Traffic::*hops;
  double Traffic::*share;
};
constexpr Level kInside{"inside a host", &Traffic::inside_hops, &Traffic::inside_share};
constexpr Level kBetween{"between hosts", &Traffic::between_hops, &Traffic::between_share};

/// What the other level takes of a measured time: it is known by now. Where pieces are on both levels at once, only its
/// latency adds.
double inside_part_s(const Measured& m, const Cluster& cluster) {
  const double latency_s = m.traffic.inside_hops * cluster.inside.latency.value;
  if (m.traffic.at_once) return latency_s;
  return latency_s + m.traffic.inside_share * m.bytes / cluster.inside.bytes_per_s();
}

Quantity measured(double value, const char* unit, const std::string& source) {
  return {value, unit, "measured", source};
}

void fit(const Level& level, const std::vector<Measured>& all, const Cluster& cluster, const std::string& source,
         Link& link) {
  std::vector<std::vector<double>> columns(2);
  std::vector<double> b;
  for (const Measured& m : all) {
    columns[0].push_back(m.traffic.*level.hops / m.seconds);
    columns[1].push_back(m.traffic.*level.share * m.bytes / m.seconds);
    b.push_back(1 - (&level == &kBetween ? inside_part_s(m, cluster) / m.seconds : 0));
  }
  const std::vector<double> x = scaling::non_negative_least_squares(columns, b);
  if (!(x[1] > 0))
    user_error(
        "--calibrate: no bandwidth {} follows from {} (sizes of {} bytes or more count): measure more and larger "
        "sizes, as gpumonth comm --min-bytes 64k --max-bytes 256M does",
        level.name, source, kSmallestBucketBytes);
  link.latency = measured(x[0], "s", source);
  link.bandwidth = measured(1 / x[1], "B/s", source);
  link.efficiency = measured(1, "1", "contained in the bandwidth");
}

LevelFit quality(const std::vector<Measured>& all, const Cluster& cluster) {
  LevelFit fit;
  std::vector<double> errors;
  for (const Measured& m : all) {
    errors.push_back(std::abs(all_reduce_s(m.traffic, cluster, m.bytes) / m.seconds - 1));
    if (errors.back() < fit.largest_error) continue;
    fit.largest_error = errors.back();
    fit.largest_bytes = static_cast<std::int64_t>(m.bytes);
  }
  fit.rows = static_cast<int>(errors.size());
  fit.median_error = quantile(errors, 0.5);
  return fit;
}

std::string joined(const std::vector<std::string>& paths) {
  return fmt::format("gpumonth comm: {}", fmt::join(paths, ", "));
}

}  // namespace

Calibration calibrate(Cluster& cluster, const std::vector<runlog::Run>& logs) {
  const Algorithm algorithm = cluster.algorithm == Algorithm::fastest ? Algorithm::ring : cluster.algorithm;
  std::vector<Measured> inside, between;
  std::vector<std::string> inside_paths, between_paths;
  bool several_gpus = false;
  for (const runlog::Run& log : logs) {
    require_all_reduce(log);
    const Shape shape = shape_of_log(log);
    append(shape.hosts > 1 ? between : inside, log, traffic(algorithm, shape));
    (shape.hosts > 1 ? between_paths : inside_paths).push_back(log.path);
    several_gpus = several_gpus || (shape.hosts > 1 && shape.gpus_per_host > 1);
  }
  if (several_gpus && inside.empty())
    user_error(
        "--calibrate: {} is of several ranks on each host, and nothing says what these take among themselves: "
        "measure one host alone, too",
        between_paths.front());
  Calibration result;
  if (!inside_paths.empty()) {
    fit(kInside, inside, cluster, joined(inside_paths), cluster.inside);
    result.inside = quality(inside, cluster);
  } else {
    result.notes.push_back("inside a host: not measured, as in the cluster file");
  }
  if (!between_paths.empty()) {
    fit(kBetween, between, cluster, joined(between_paths), cluster.between);
    result.between = quality(between, cluster);
  } else {
    result.notes.push_back("between hosts: not measured, as in the cluster file");
  }
  return result;
}

}  // namespace gpumonth::simulate
