// The table of memory is what a CPU rank's step holds.
#include "tests/trainer/memory_checks.h"

using namespace gpumonth;

TEST_CASE("the table of memory is what a step's buffers hold") {
  tests::check_memory(trainer::make_cpu_dit_step, true);
}
