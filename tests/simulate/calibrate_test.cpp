// Logs of links whose latency and bandwidth are known.
#include "simulate/calibrate.h"

#include "base/error.h"
#include "simulate/all_reduce.h"
#include "tests/catch.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using namespace gpumonth::simulate;
using tests::comm_log;
using tests::contains;

namespace {

/// A ring of n at these latency and bandwidth, by its formula; below 64 KiB ten times slower, as what goes another way.
auto ring_seconds(double n, double latency_s, double bytes_per_s) {
  return [=](double bytes) {
    const double seconds = 2 * (n - 1) * latency_s + 2 * (n - 1) / n * bytes / bytes_per_s;
    return bytes < 65536 ? 10 * seconds : seconds;
  };
}

}  // namespace

TEST_CASE("two hosts give the link between hosts") {
  Cluster c = tests::sample_cluster(1, 32);
  const auto result = calibrate(c, {comm_log("n2.h5", 1, 2, ring_seconds(2, 70e-6, 240e6))});
  CHECK(c.between.latency.value == Approx(70e-6).epsilon(1e-6));
  CHECK(c.between.bytes_per_s() == Approx(240e6).epsilon(1e-6));
  CHECK(c.between.bandwidth.tag == "measured");
  CHECK_THAT(c.between.bandwidth.source, contains("n2.h5"));
  CHECK(result.between.rows == 11);  // 64 KiB .. 64 MiB
  CHECK(result.between.largest_error < 1e-6);
  CHECK(result.inside.rows == 0);
  CHECK(c.inside.bytes_per_s() == 100e9);
  REQUIRE(result.notes.size() == 1);
  CHECK_THAT(result.notes[0], contains("inside a host: not measured"));
}

TEST_CASE("one host and several of several ranks, for each algorithm") {
  for (const Algorithm algorithm : {Algorithm::ring, Algorithm::hierarchical, Algorithm::tree, Algorithm::fastest}) {
    Cluster truth = tests::sample_cluster(4, 8);
    truth.inside.latency.value = 2e-6, truth.inside.bandwidth.value = 50e9;
    truth.between.latency.value = 20e-6, truth.between.bandwidth.value = 3e9;
    const Algorithm fitted = algorithm == Algorithm::fastest ? Algorithm::ring : algorithm;
    const auto seconds = [&](const Shape& shape) {
      return [&truth, shape, fitted](double bytes) { return all_reduce_s(traffic(fitted, shape), truth, bytes); };
    };
    Cluster c = tests::sample_cluster(4, 8);
    c.algorithm = algorithm;
    calibrate(c, {comm_log("a.h5", 4, 2, seconds({4, 2})), comm_log("b.h5", 4, 1, seconds({4, 1})),
                  comm_log("c.h5", 4, 8, seconds({4, 8})), comm_log("d.h5", 2, 1, seconds({2, 1}))});
    INFO(static_cast<int>(algorithm));
    CHECK(c.inside.latency.value == Approx(2e-6).epsilon(1e-4));
    CHECK(c.inside.bytes_per_s() == Approx(50e9).epsilon(1e-4));
    CHECK(c.between.latency.value == Approx(20e-6).epsilon(1e-4));
    CHECK(c.between.bytes_per_s() == Approx(3e9).epsilon(1e-4));
  }
}

TEST_CASE("what the model cannot say is told as an error of the fit") {
  Cluster c = tests::sample_cluster(1, 32);
  const auto bent = [](double bytes) { return bytes / 1e9 * (bytes > 1e7 ? 1.5 : 1); };
  const auto result = calibrate(c, {comm_log("n2.h5", 1, 2, bent)});
  CHECK(result.between.largest_error > 0.1);
  CHECK(result.between.median_error <= result.between.largest_error);
}

TEST_CASE("logs that say nothing of a link") {
  Cluster c = tests::sample_cluster(4, 8);
  const auto flat = ring_seconds(8, 1e-6, 1e9);
  auto other = comm_log("other.h5", 1, 2, flat);
  other.comm.operation = "all_gather";
  CHECK_THROWS_WITH(calibrate(c, {other}), contains("all_gather"));
  CHECK_THROWS_WITH(calibrate(c, {tests::sample_run(2)}), contains("no collective"));
  CHECK_THROWS_WITH(calibrate(c, {comm_log("one.h5", 1, 1, flat)}), contains("two ranks or more"));
  CHECK_THROWS_WITH(calibrate(c, {comm_log("both.h5", 4, 2, flat)}), contains("measure one host alone"));
  auto uneven = comm_log("uneven.h5", 3, 1, flat);
  uneven.info.hostnames = {"a", "a", "b"};
  CHECK_THROWS_WITH(calibrate(c, {uneven}), contains("not as many on each"));
  CHECK_THROWS_WITH(calibrate(c, {comm_log("flat.h5", 1, 2, [](double) { return 1e-3; })}), contains("no bandwidth"));
  auto small = comm_log("small.h5", 1, 2, flat);
  small.comm.rows.resize(4);
  CHECK_THROWS_WITH(calibrate(c, {small}), contains("larger sizes"));
}
