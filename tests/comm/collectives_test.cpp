// Reduce-scatter, all-gather and all-to-all on 1 to 4 ranks: small integers, so that sums are exact in any order; shared
// memory, memory of each rank's own, and MPI messages. And that the benchmark finds what is wrong.
#include <map>
#include <stdexcept>

#include "comm/check_collective.h"
#include "comm/host/host_transport.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

using namespace gpumonth::comm;
using gpumonth::tests::ranks;
using gpumonth::tests::transport;

namespace {

constexpr std::size_t kMost = 600000;  // of a share: several messages, and several chunks of what is staged
const std::vector<std::size_t> kShares = {0, 1, 3, 1000, 2048, 70001, kMost};

float value(std::size_t i, int rank) {
  return static_cast<float>((i * 7 + 3) % 1000 + 11 * static_cast<std::size_t>(rank));
}

float sum_of(std::size_t i, int size) {
  float sum = 0;
  for (int r = 0; r < size; ++r) sum += value(i, r);
  return sum;
}

void fill(std::span<float> values, int rank) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(i, rank);
}

void check_reduce_scatter(Communicator& comm, std::span<float> values) {
  const std::size_t share = values.size() / static_cast<std::size_t>(comm.size());
  const std::size_t begin = share * static_cast<std::size_t>(comm.rank());
  fill(values, comm.rank());
  comm.reduce_scatter_sum(values);
  std::size_t wrong = 0;
  for (std::size_t i = begin; i < begin + share; ++i) wrong += values[i] != sum_of(i, comm.size());
  REQUIRE(wrong == 0);
}

void check_all_gather(Communicator& comm, std::span<float> values) {
  const std::size_t share = values.size() / static_cast<std::size_t>(comm.size());
  fill(values, comm.rank());
  comm.all_gather(values);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) wrong += values[i] != value(i, static_cast<int>(i / share));
  REQUIRE(wrong == 0);
}

void check_all_to_all(Communicator& comm, std::span<float> sent, std::span<float> received) {
  const std::size_t share = sent.size() / static_cast<std::size_t>(comm.size());
  fill(sent, comm.rank());
  std::fill(received.begin(), received.end(), -1.0f);
  comm.all_to_all(sent, received);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < received.size(); ++i) {
    const std::size_t at = i % share + share * static_cast<std::size_t>(comm.rank());
    wrong += received[i] != value(at, static_cast<int>(i / share)) || sent[i] != value(i, comm.rank());
  }
  REQUIRE(wrong == 0);
}

void check_all(Transport& over) {
  Communicator& comm = over.ranks();
  const std::size_t ranks = static_cast<std::size_t>(comm.size()), most = ranks * kMost + 48;
  const auto memory = over.allocate(static_cast<std::int64_t>(most)),
             more = over.allocate(static_cast<std::int64_t>(most));
  std::vector<float> own(most), own_more(most);
  for (const std::size_t share : kShares) {
    for (const std::size_t offset : {0, 1, 48}) {
      if (share == kMost && offset > 0) continue;  // takes its time
      INFO(comm.description() << ", shares of " << share << " at " << offset);
      const std::span<float> shared(memory.get() + offset, ranks * share),
          shared_more(more.get() + offset, ranks * share);
      const std::span<float> mine(own.data() + offset, ranks * share),
          mine_too(own_more.data() + offset, ranks * share);
      for (const std::span<float> values : {shared, mine}) {
        check_reduce_scatter(comm, values);
        check_all_gather(comm, values);
        check_all_to_all(comm, values, shared_more);
        check_all_to_all(comm, values, mine_too);
      }
    }
  }
}

}  // namespace

TEST_CASE("every rank gets its share of the sum, all shares, and a share of every rank") { check_all(transport()); }

TEST_CASE("so it does by MPI messages, as between hosts") {
  MpiTransport over_messages(60, false);
  check_all(over_messages);
}

TEST_CASE("collectives leave what is beside them alone") {
  const auto n = static_cast<std::size_t>(ranks().size());
  const auto memory = transport().allocate(static_cast<std::int64_t>(4 * n + 2));
  std::fill_n(memory.get(), 4 * n + 2, -1.0f);
  const std::span<float> inside(memory.get() + 1, 4 * n);
  ranks().reduce_scatter_sum(inside);
  ranks().all_gather(inside);
  REQUIRE(memory[0] == -1.0f);
  REQUIRE(memory[4 * n + 1] == -1.0f);
  for (const float sum : inside) REQUIRE(sum == -static_cast<float>(n));  // together they are an all-reduce
}

TEST_CASE("values that are no equal shares are refused") {
  if (ranks().size() == 1) return;
  std::vector<float> values(4 * static_cast<std::size_t>(ranks().size()) + 1), others(values.size());
  REQUIRE_THROWS_AS(ranks().reduce_scatter_sum(values), std::invalid_argument);
  REQUIRE_THROWS_AS(ranks().all_gather(std::span<float>(values)), std::invalid_argument);
  REQUIRE_THROWS_AS(ranks().all_to_all(values, others), std::invalid_argument);
}

TEST_CASE("every measured collective is exact, with nccl-tests' sizes and factors") {
  const double n = ranks().size(), once = (n - 1) / n;
  const std::map<std::string, double> factors = {
      {"all_reduce", 2 * once}, {"reduce_scatter", once}, {"all_gather", once}, {"all_to_all", once}};
  for (const Collective& operation : collectives()) {
    const std::vector<std::int64_t> sizes = {1000, 1 << 20};
    const auto results = check_collective(transport(), operation, sizes, {.warmup = 1, .repeats = 3});
    INFO(operation.name);
    REQUIRE(factors.contains(operation.name));
    const auto share = static_cast<std::int64_t>(1000 / n) / 16 * 16;
    CHECK(results[0].bytes == (operation.in_shares ? share * ranks().size() : 1000));
    for (const CollectiveResult& r : results) {
      CHECK(r.correct);
      CHECK(r.alg_bytes_per_s() == Approx(static_cast<double>(r.bytes) / r.seconds));
      CHECK(r.bus_bytes_per_s() == Approx(r.alg_bytes_per_s() * factors.at(operation.name)));
    }
  }
}

TEST_CASE("the benchmark finds values that did not come, or from elsewhere") {
  if (ranks().size() == 1) return;
  const std::vector<std::int64_t> sizes = {1 << 16};
  for (Collective operation : collectives()) {
    operation.on_host = [](Communicator&, const CollectiveBuffers&) {};
    INFO(operation.name);
    CHECK_FALSE(check_collective(transport(), operation, sizes, {.warmup = 1, .repeats = 1})[0].correct);
  }
  Collective late = collective("all_gather");  // one value of rank 1's alone, and on the last rank alone
  late.on_host = [](Communicator& comm, const CollectiveBuffers& b) {
    comm.all_gather(b.all());
    if (b.rank == b.ranks - 1) b.values[b.share() + b.share() / 2] += 1;
  };
  CHECK_FALSE(check_collective(transport(), late, sizes, {.warmup = 1, .repeats = 1})[0].correct);
}
