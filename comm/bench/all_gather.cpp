// Every rank gets every rank's own share: the second half of an all-reduce, and half of its transfers.
#include "comm/collective.h"
#include "comm/communicator.h"
#include "comm/nccl/nccl_calls.h"

namespace gpumonth::comm {

Collective all_gather() {
  return {.name = "all_gather",
          .title = "all-gather",
          .sums = false,
          .in_place = true,
          .in_shares = true,
          .bus_factor = [](int n) { return 1.0 * (n - 1) / n; },
          .bus_formula = "(n-1)/n",
          .on_host = [](Communicator& ranks, const CollectiveBuffers& b) { ranks.all_gather(b.all()); },
          .on_nccl = [](NcclCalls& nccl,
                        const CollectiveBuffers& b) { nccl.all_gather(b.own_share(), b.values, b.share()); },
          .expected =
              [](const CollectiveBuffers&, int share) {
                return ExpectedShare{ExpectedShare::one_rank, share, share};
              }};
}

}  // namespace gpumonth::comm
