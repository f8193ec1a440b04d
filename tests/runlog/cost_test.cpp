// Logging costs less than 0.5 % of a 50 ms step: 250 us.
#include <chrono>
#include <iostream>
#include <thread>

#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/samples.h"

using namespace gpumonth;
using namespace gpumonth::runlog;

namespace {

constexpr double kLimit_s = 0.005 * 0.050;
constexpr int kRanks = 64, kBuckets = 32;

/// A step as a run of many ranks logs it: the ranks' times on each, a bucket timeline on every tenth.
void log_step(Writer& writer, std::int64_t n) {
  static const std::vector<float> rank_times(kRanks, 0.05f);
  writer.step(samples::step(n));
  writer.rank_times(n, rank_times);
  if (n % 10 != 0) return;
  std::vector<BucketRecord> buckets;
  for (int b = 0; b < kBuckets; ++b) buckets.push_back({n, b, 1 << 22, 0.01, 0.02, 0.03});
  writer.buckets(buckets);
}

void report(const char* what, const Writer& writer, std::int64_t steps) {
  const double cost_s = writer.cost_s() / static_cast<double>(steps);
  std::cout << what << ": " << 1e6 * cost_s << " us per step, " << 100 * cost_s / 0.050 << " % of 50 ms\n";
  CHECK(cost_s > 0);
  CHECK(cost_s < kLimit_s);
}

}  // namespace

TEST_CASE("logging 50 ms steps in real time") {
  const tests::TemporaryFolder folder;
  Writer writer(folder.path() / "run.h5", samples::info(kRanks));
  constexpr int steps = 80;
  for (int n = 1; n <= steps; ++n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    log_step(writer, n);
  }
  report("80 steps of 50 ms", writer, steps);
}

TEST_CASE("logging a long run of 50 ms steps") {
  const tests::TemporaryFolder folder;
  Writer writer(folder.path() / "run.h5", samples::info(kRanks));
  constexpr int steps = 20'000;
  for (int n = 1; n <= steps; ++n) {
    log_step(writer, n);
    if (n % 16 == 0) writer.flush();  // 16 steps of 50 ms are what fits between two flushes
  }
  report("20,000 steps, flushed every 16", writer, steps);
}
