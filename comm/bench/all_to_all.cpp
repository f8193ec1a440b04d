// Rank s gets share s of every rank's values; each rank keeps one of its n shares and sends n-1. NCCL has had it as one
// call only since 2.28: grouped sends and receives are how its guide says to do it, and how nccl-tests did.
#include "comm/collective.h"
#include "comm/communicator.h"
#include "comm/nccl/nccl_calls.h"

namespace gpumonth::comm {
namespace {

void exchange(NcclCalls& nccl, const CollectiveBuffers& b) {
  nccl.group([&] {
    for (int r = 0; r < b.ranks; ++r) {
      nccl.send(b.sent + r * b.share(), b.share(), r);
      nccl.receive(b.values + r * b.share(), b.share(), r);
    }
  });
}

}  // namespace

Collective all_to_all() {
  return {.name = "all_to_all",
          .title = "all-to-all",
          .sums = false,
          .in_place = false,
          .in_shares = true,
          .bus_factor = [](int n) { return 1.0 * (n - 1) / n; },
          .bus_formula = "(n-1)/n",
          .on_host = [](Communicator& ranks, const CollectiveBuffers& b) { ranks.all_to_all(b.all_sent(), b.all()); },
          .on_nccl = exchange,
          .expected =
              [](const CollectiveBuffers& b, int share) {
                return ExpectedShare{ExpectedShare::one_rank, share, b.rank};
              }};
}

}  // namespace gpumonth::comm
