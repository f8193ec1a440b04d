// Every rank gets the sum of all ranks' values. Each value takes 2 (n-1) transfers over n links: n-1 to add it up, n-1 to
// bring the sum back.
#include "comm/collective.h"
#include "comm/communicator.h"
#include "comm/nccl/nccl_calls.h"

namespace gpumonth::comm {

Collective all_reduce() {
  return {.name = "all_reduce",
          .title = "all-reduce",
          .sums = true,
          .in_place = true,
          .in_shares = false,
          .bus_factor = [](int n) { return 2.0 * (n - 1) / n; },
          .bus_formula = "2 (n-1)/n",
          .on_host = [](Communicator& ranks, const CollectiveBuffers& b) { ranks.all_reduce_sum(b.all()); },
          .on_nccl = [](NcclCalls& nccl, const CollectiveBuffers& b) { nccl.all_reduce(b.sent, b.values, b.count); },
          .expected = [](const CollectiveBuffers&, int) { return ExpectedShare{ExpectedShare::sum_of_all}; }};
}

}  // namespace gpumonth::comm
