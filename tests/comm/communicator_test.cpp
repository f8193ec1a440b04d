// Collectives on 1 to 4 ranks: exact sums (small integers, so that the order of addition does not matter),
// and the same bits on every rank where it does.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "comm/host/host_transport.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

using namespace gpumonth::comm;
using gpumonth::tests::ranks;
using gpumonth::tests::transport;

namespace {

std::uint64_t checksum(std::span<const float> values) {
  std::uint64_t sum = 1469598103934665603u;  // FNV-1a
  for (const float value : values) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    sum = (sum ^ bits) * 1099511628211u;
  }
  return sum;
}

const std::vector<std::size_t> kSizes = {0,    1,    2,     3,     15,     16,     17,      1000,
                                         8191, 8192, 65535, 65536, 131072, 131073, 1000003, 3000000};

void check_sums(Communicator& comm, std::span<float> values) {
  const int rank = comm.rank(), size = comm.size();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 7 + 3) % 1000 + 11 * rank);
  comm.all_reduce_sum(values);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto expected = static_cast<float>(((i * 7 + 3) % 1000) * size + 11 * size * (size - 1) / 2);
    wrong += values[i] != expected;
  }
  INFO(comm.description() << ", " << values.size() << " values");
  REQUIRE(wrong == 0);
}

void check_same_bits(Communicator& comm, std::span<float> values) {
  std::mt19937 random(17 + comm.rank());
  std::uniform_real_distribution<float> any(-1, 1);
  for (float& value : values) value = any(random) * std::ldexp(1.0f, static_cast<int>(random() % 20));
  comm.all_reduce_sum(values);
  const auto sums = comm.all_gather(std::to_string(checksum(values)));
  INFO(comm.description() << ", " << values.size() << " values");
  for (const std::string& sum : sums) REQUIRE(sum == sums[0]);
}

void check_all(Transport& transport) {
  Communicator& comm = transport.ranks();
  const auto memory = transport.allocate(3000064);
  std::vector<float> own(3000064);
  for (const std::size_t size : kSizes) {
    for (const std::size_t offset : {0, 1, 48}) {
      check_sums(comm, {memory.get() + offset, size});
      check_sums(comm, {own.data() + offset, size});
    }
    check_same_bits(comm, {memory.get(), size});
    check_same_bits(comm, {own.data(), size});
  }
}

}  // namespace

TEST_CASE("sums are exact and the same on every rank") { check_all(transport()); }

TEST_CASE("so are sums by MPI messages, as between hosts") {
  MpiTransport over_messages(60, false);
  REQUIRE_THAT(over_messages.description(), gpumonth::tests::contains("ring"));
  check_all(over_messages);
}

TEST_CASE("what is only sent is not added") {
  MpiTransport over_messages(60, false);
  Communicator& comm = over_messages.ranks();
  // what stands for enough goes round the ring however small it is, and only there nothing is added
  for (const auto& [size, scale] : {std::pair{8192, 1.0}, {65536, 1.0}, {1000003, 1.0}, {9, 1e-3}, {2, 1e-4}}) {
    std::vector<float> values(static_cast<std::size_t>(size),
                              std::ldexp(1.0f, comm.rank()));  // a sum of several is no power of two
    comm.all_reduce_in_place_of(values, {.adds = false, .byte_scale = scale});
    int exponent = 0;
    const auto added =
        std::count_if(values.begin(), values.end(), [&](float value) { return std::frexp(value, &exponent) != 0.5f; });
    CHECK(added == 0);
    // it was sent all the same: one share at least is another rank's
    const bool all_own = std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0]; });
    CHECK(all_own == (comm.size() == 1));
  }
  std::vector<float> more(100000);
  check_sums(comm, more);  // the ring is as it was
  std::vector<float> little(100, std::ldexp(1.0f, comm.rank()));
  comm.all_reduce_in_place_of(little, {.adds = false});  // too little for the ring: added
  CHECK(little == std::vector<float>(100, std::ldexp(1.0f, comm.size()) - 1));
}

TEST_CASE("ranks of one host share memory") {
  REQUIRE_THAT(ranks().description(), gpumonth::tests::contains("shared memory"));
  REQUIRE(ranks().local_size() == ranks().size());
  REQUIRE(ranks().local_rank() == ranks().rank());
}

TEST_CASE("an all-reduce leaves what is beside it alone") {
  const auto memory = transport().allocate(1000);
  for (int i = 0; i < 1000; ++i) memory[i] = -1;
  ranks().all_reduce_sum(std::span<float>(memory.get() + 100, 33));
  for (int i = 0; i < 1000; ++i) {
    const bool inside = i >= 100 && i < 133;
    REQUIRE(memory[i] == static_cast<float>(inside ? -ranks().size() : -1));
  }
}

TEST_CASE("doubles are summed in double") {
  for (const std::size_t count : {1u, 5u, 200000u}) {
    std::vector<double> values(count, 1.0 + 1e-12 * (ranks().rank() + 1));
    ranks().all_reduce_sum(std::span<double>(values));
    const int n = ranks().size();
    for (const double value : values) REQUIRE(std::abs(value - (n + 1e-12 * n * (n + 1) / 2)) < 1e-14);
  }
}

TEST_CASE("gather, all_gather and broadcast keep the order of ranks") {
  Communicator& comm = ranks();
  const int root = comm.size() - 1;
  const std::vector<float> mine = {static_cast<float>(comm.rank()), 0.5f};
  const std::vector<float> all = comm.gather(mine, root);
  REQUIRE(all.size() == (comm.rank() == root ? 2u * comm.size() : 0u));
  for (std::size_t i = 0; i < all.size(); i += 2) REQUIRE(all[i] == static_cast<float>(i / 2));

  const auto texts = comm.all_gather(std::string(comm.rank() * 3, 'x'));  // rank 0's is empty
  REQUIRE(texts.size() == static_cast<std::size_t>(comm.size()));
  for (std::size_t r = 0; r < texts.size(); ++r) REQUIRE(texts[r] == std::string(r * 3, 'x'));

  std::vector<int> data(100000, comm.rank() == root ? 42 : 0);
  comm.broadcast(std::as_writable_bytes(std::span(data)), root);
  REQUIRE(std::all_of(data.begin(), data.end(), [](int v) { return v == 42; }));
  comm.barrier();
}

TEST_CASE("a duplicate has an order of its own") {
  const auto copy = ranks().duplicate("copy");
  const auto memory = transport().allocate(4096);
  std::fill_n(memory.get(), 4096, 1.0f);
  copy->all_reduce_sum(std::span<float>(memory.get(), 4096));  // memory of the original, summed in place
  ranks().all_reduce_sum(std::span<float>(memory.get(), 16));
  const float n = static_cast<float>(ranks().size());
  REQUIRE(memory[4095] == n);
  REQUIRE(memory[3] == n * n);
}

namespace {

/// Pairs of neighbours (the last may be alone), then even ranks and odd ones.
void check_split(Communicator& comm) {
  const int rank = comm.rank(), size = comm.size();
  for (const auto& [colour, first, stride] : {std::tuple{rank / 2, rank / 2 * 2, 1}, {rank % 2, rank % 2, 2}}) {
    const auto part = comm.split(colour, "part");
    const int members = stride == 1 ? std::min(2, size - first) : (size - first + 1) / 2;
    INFO(comm.description() << ", part of " << members);
    REQUIRE(part->size() == members);
    REQUIRE(part->rank() == (rank - first) / stride);
    REQUIRE(part->local_size() == members);
    const auto texts = part->all_gather(std::to_string(rank));
    for (int m = 0; m < members; ++m) REQUIRE(texts[m] == std::to_string(first + m * stride));
    std::vector<float> values(70000);
    check_sums(*part, values);
    std::vector<float> sent(static_cast<std::size_t>(3 * members)), received(sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<float>(100 * rank + static_cast<int>(i));
    part->all_to_all(sent, received);
    for (int m = 0; m < members; ++m)
      for (int i = 0; i < 3; ++i)
        REQUIRE(received[static_cast<std::size_t>(3 * m + i)] ==
                static_cast<float>(100 * (first + m * stride) + 3 * part->rank() + i));
  }
}

}  // namespace

TEST_CASE("a part of the ranks has collectives of its own") { check_split(ranks()); }

TEST_CASE("so it has over MPI messages, and a part of a part") {
  MpiTransport over_messages(60, false);
  check_split(over_messages.ranks());
  const auto part = ranks().split(ranks().rank() / 3, "three");
  check_split(*part);
}

TEST_CASE("parts do not wait for each other") {
  const auto part = ranks().split(ranks().rank() / 2, "pair");
  if (ranks().rank() / 2 == 0)  // the other pairs are at the barrier of all meanwhile
    for (int i = 0; i < 100; ++i) part->barrier();
  ranks().barrier();
}
