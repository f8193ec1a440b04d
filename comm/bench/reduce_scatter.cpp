// Rank r gets share r of the sum of all ranks' values: the first half of an all-reduce, and half of its transfers.
#include "comm/collective.h"
#include "comm/communicator.h"
#include "comm/nccl/nccl_calls.h"

namespace gpumonth::comm {

Collective reduce_scatter() {
  return {.name = "reduce_scatter",
          .title = "reduce-scatter",
          .sums = true,
          .in_place = true,
          .in_shares = true,
          .bus_factor = [](int n) { return 1.0 * (n - 1) / n; },
          .bus_formula = "(n-1)/n",
          .on_host = [](Communicator& ranks, const CollectiveBuffers& b) { ranks.reduce_scatter_sum(b.all()); },
          .on_nccl = [](NcclCalls& nccl,
                        const CollectiveBuffers& b) { nccl.reduce_scatter(b.sent, b.own_share(), b.share()); },
          .expected =
              [](const CollectiveBuffers& b, int share) {
                return ExpectedShare{share == b.rank ? ExpectedShare::sum_of_all : ExpectedShare::nobody, 0, share};
              }};
}

}  // namespace gpumonth::comm
