// The emulated tensor cores against plain loops: matrices go through shared memory, ldmatrix and products, as the
// attention kernels use them. Small integers, so that every sum is exact.
#include "tests/emulator/tensor_cores.h"

#include <vector>

#include "tests/catch.h"

namespace gpumonth::emulator {
namespace {

namespace tensor_cores = ops::tensor_cores;
using ops::bf16;

template <class T>
struct OnDevice {
  explicit OnDevice(const std::vector<T>& values) : count(values.size()) {
    cudaMalloc(reinterpret_cast<void**>(&at), count * sizeof(T));
    cudaMemcpy(at, values.data(), count * sizeof(T), cudaMemcpyHostToDevice);
  }
  ~OnDevice() { cudaFree(at); }
  std::vector<T> values() const {
    std::vector<T> host(count);
    cudaDeviceSynchronize();
    cudaMemcpy(host.data(), at, count * sizeof(T), cudaMemcpyDeviceToHost);
    return host;
  }
  std::size_t count;
  T* at = nullptr;
};

/// Other integers from -4 to 4 for each seed.
std::vector<bf16> integers(std::size_t count, unsigned seed) {
  std::vector<bf16> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = ops::from_float<bf16>(static_cast<float>(seed >> 16) / 65536.0f * 9.0f - 4.5f);
    values[i] = ops::from_float<bf16>(std::round(ops::to_float(values[i])));
  }
  return values;
}

constexpr unsigned kLanes = 32, kRows = 32;

/// Copies (32, 8) matrices a and b to shared memory and multiplies: c (16, 8) = the first 16 rows of a by the first 8 of
/// b transposed.
void product_of_rows(const bf16* a, const bf16* b, float* c, bool wait) {
  bf16* const shared_a = static_cast<bf16*>(dynamic_shared());
  bf16* const shared_b = shared_a + kRows * 8;
  const unsigned lane = threadIdx.x;
  tensor_cores::start_copy(shared_a + lane * 8, a + lane * 8, true);
  tensor_cores::start_copy(shared_b + lane * 8, b + lane * 8, true);
  if (wait) tensor_cores::wait_for_copies();
  __syncthreads();
  std::uint32_t left[4], right[4];
  tensor_cores::load_matrices(left, tensor_cores::SharedRow(shared_a + lane * 8));
  tensor_cores::load_matrices(right, tensor_cores::SharedRow(shared_b + lane * 8));
  if (!wait) tensor_cores::wait_for_copies();
  float sum[4] = {};
  tensor_cores::multiply_add(sum, left[0], left[1], right[0]);
  for (unsigned i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sum[i];
}

bool product_of_rows_right(bool wait) {
  const std::vector<bf16> a = integers(kRows * 8, 1), b = integers(kRows * 8, 2);
  const OnDevice<bf16> on_a(a), on_b(b);
  const OnDevice<float> on_c(std::vector<float>(16 * 8));
  Launch(1, kLanes, 2 * kRows * 8 * sizeof(bf16))(product_of_rows, on_a.at, on_b.at, on_c.at, wait);
  const std::vector<float> c = on_c.values();
  bool right = true;
  for (unsigned row = 0; row < 16; ++row)
    for (unsigned column = 0; column < 8; ++column) {
      float expected = 0;
      for (unsigned k = 0; k < 8; ++k) expected += ops::to_float(a[row * 8 + k]) * ops::to_float(b[column * 8 + k]);
      right = right && c[row * 8 + column] == expected;
    }
  return right;
}

TEST_CASE("tensor cores multiply rows; copies that nobody waited for are not there") {
  CHECK(product_of_rows_right(true));
  CHECK_FALSE(product_of_rows_right(false));
}

/// c (16, 8) = the transpose of a's 16 columns by b, the sum over 32 rows of both.
void product_of_columns(const bf16* a, const bf16* b, float* c) {
  bf16* const shared_a = static_cast<bf16*>(dynamic_shared());
  bf16* const shared_b = shared_a + kRows * 16;
  const unsigned lane = threadIdx.x;
  for (unsigned i = 0; i < 16; ++i) shared_a[lane * 16 + i] = a[lane * 16 + i];
  for (unsigned i = 0; i < 8; ++i) shared_b[lane * 8 + i] = b[lane * 8 + i];
  __syncthreads();
  std::uint32_t left[4], more[4], right[4];
  tensor_cores::load_matrices_transposed(left, tensor_cores::SharedRow(shared_a + lane * 16));
  tensor_cores::load_matrices_transposed(more, tensor_cores::SharedRow(shared_a + lane * 16 + 8));
  tensor_cores::load_matrices_transposed(right, tensor_cores::SharedRow(shared_b + lane * 8));
  float sum[4] = {};
  for (unsigned i = 0; i < 4; i += 2)
    tensor_cores::multiply_add(sum, left[i], more[i], left[i + 1], more[i + 1], right[i], right[i + 1]);
  for (unsigned i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sum[i];
}

TEST_CASE("tensor cores multiply columns") {
  const std::vector<bf16> a = integers(kRows * 16, 3), b = integers(kRows * 8, 4);
  const OnDevice<bf16> on_a(a), on_b(b);
  const OnDevice<float> on_c(std::vector<float>(16 * 8));
  Launch(1, kLanes, kRows * 24 * sizeof(bf16))(product_of_columns, on_a.at, on_b.at, on_c.at);
  const std::vector<float> c = on_c.values();
  for (unsigned row = 0; row < 16; ++row)
    for (unsigned column = 0; column < 8; ++column) {
      float expected = 0;
      for (unsigned k = 0; k < kRows; ++k)
        expected += ops::to_float(a[k * 16 + row]) * ops::to_float(b[k * 8 + column]);
      CHECK(c[row * 8 + column] == expected);
    }
}

}  // namespace
}  // namespace gpumonth::emulator
