// The table of memory is what a GPU's step holds: what it needs, and which batch fits, is told from that table.
#include "tests/trainer/cuda/gpu.h"
#include "tests/trainer/memory_checks.h"
#include "trainer/backend.h"

using namespace gpumonth;

TEST_CASE("the table of memory is what a step's buffers hold on the GPU") {
  tests::gpu();
  tests::check_memory(trainer::make_cuda_dit_step, false);
}
