// Waits on the device's clock: never too short, told when they are late, and recorded once for moments that change.
#include "trainer/replay/waits.h"

#include <algorithm>
#include <cmath>

#include "tests/catch.h"
#include "tests/trainer/cuda/gpu.h"
#include "trainer/ops/step_graph.h"
#include "trainer/ops/step_timer.h"

namespace gpumonth::trainer {
namespace {

using ops::Cuda;

constexpr double kEvents_s = 1e-5;  ///< events and the device's clock tick in steps of a microsecond or less

/// A context of its own, which replays.
Cuda graphs_allowed(const Cuda& gpu) { return {std::make_shared<ops::CudaContext>(gpu.context->ordinal, true)}; }

/// Two waits with marks around them.
struct TwoWaits {
  void enqueue() {
    timer.mark(0);
    waits.begin();
    waits.until(0);
    timer.mark(1);
    waits.until(1);
    timer.mark(2);
  }
  Cuda device = graphs_allowed(tests::gpu());  // without a GPU the program ends here
  Waits<Cuda> waits{device, 2};
  ops::StepTimer<Cuda> timer{device, 3};
};

TEST_CASE("waits end at their moments, of which those behind one that was late are none the later") {
  TwoWaits two;
  double least_s = INFINITY;
  for (int run = 0; run < 10; ++run) {
    two.waits.load(std::vector{4e-3, 9e-3});
    two.enqueue();
    ops::synchronize(two.device);
    CHECK(two.timer.seconds(0, 1) >= 4e-3 - kEvents_s);
    CHECK(two.timer.seconds(0, 2) >= 9e-3 - kEvents_s);
    const std::vector<double> late_s = two.waits.late_s();
    CHECK(late_s[0] >= 0);
    CHECK(two.timer.seconds(0, 2) >= 9e-3 + late_s[1] - kEvents_s);
    least_s = std::min(least_s, two.timer.seconds(0, 2));
  }
  CHECK(least_s <= 10e-3);
}

TEST_CASE("a moment that has passed ends its wait at once, and the log of it says how late") {
  TwoWaits two;
  two.waits.load(std::vector{4e-3, 1e-3});
  two.enqueue();
  ops::synchronize(two.device);
  CHECK(two.waits.late_s()[1] >= 3e-3);
  two.waits.load(std::vector{-2e-3, -1e-3});
  two.enqueue();
  ops::synchronize(two.device);
  CHECK(two.waits.late_s()[0] >= 2e-3);
  CHECK(two.waits.late_s()[1] >= 1e-3);
}

TEST_CASE("a recorded wait takes the moments that memory holds when it is replayed") {
  TwoWaits two;
  ops::StepGraph<Cuda> graph(two.device);
  double least_s = INFINITY;
  for (int run = 0; run < 8; ++run) {
    INFO("run " << run);
    const double first_s = run % 2 == 0 ? 1e-3 : 6e-3;
    two.waits.load(std::vector{first_s, 2 * first_s});
    graph.run([&] { two.enqueue(); });
    ops::synchronize(two.device);
    CHECK(two.timer.seconds(0, 1) >= first_s - kEvents_s);
    CHECK(two.timer.seconds(0, 2) >= 2 * first_s - kEvents_s);
    CHECK(graph.replays() == (run >= 2));
    if (run % 2 == 0 && run >= 2) least_s = std::min(least_s, two.timer.seconds(0, 1));
  }
  CHECK(least_s < 5e-3);  // not the other runs' moment
}

}  // namespace
}  // namespace gpumonth::trainer
