#include <optional>

#include "trainer/ops/buffer.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/cpu/onednn.h"
#include "trainer/ops/cpu/parallel.h"
#include "trainer/ops/cpu/transpose.h"
#include "trainer/ops/gelu.h"
#include "trainer/ops/linear_impl.h"

namespace gpumonth::ops {
namespace {

std::size_t round_up(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

template <class T, class Y>
MatmulShape forward_shape(const LinearShape& s) {
  return {.m = s.rows,
          .n = s.out,
          .k = s.in,
          .in = dtype_of<T>(),
          .out = dtype_of<Y>(),
          .a = {0, s.in, 1},
          .b = {0, 1, s.in},
          .c = {0, s.y_stride, 1},
          .packed_b = s.packed,
          .unpacked_b = dtype_of<T>(),
          .bias = true};
}

/// W as it lies, (out, in), is what dx = dy W reads; only bf16 needs a copy.
template <class T>
bool packs_data(const LinearShape& s) {
  return s.packed && dtype_of<T>() != Dtype::fp32;
}

template <class T>
MatmulShape data_shape(const LinearShape& s) {
  return {.m = s.rows,
          .n = s.in,
          .k = s.out,
          .in = dtype_of<T>(),
          .out = dtype_of<T>(),
          .a = {0, s.y_stride, 1},
          .b = {0, s.in, 1},
          .c = {0, s.in, 1},
          .packed_b = packs_data<T>(s),
          .unpacked_b = dtype_of<T>()};
}

/// Of dx, where sgemm packs W anew for every block: that costs less than reading it unpacked from this many rows on. Blocks
/// have one size, and who takes one does not matter.
constexpr std::int64_t kDataBlock = 512;

template <class T>
bool data_by_blocks(const Cpu& cpu, const LinearShape& s) {
  return dtype_of<T>() == Dtype::fp32 && s.packed && s.rows % kDataBlock == 0 && s.rows / kDataBlock >= cpu.threads;
}

/// dW = dy^T x runs at about 70 % of the bf16 rate where oneDNN turns dy over itself, at 94 % from copies
/// that suit it. The copies cost rows (in + out), the product rows x in x out: they pay for wide layers only
/// (measured on Zen 5; a fixed rule, because timing both would make runs differ in their last bits).
template <class T>
bool copies_pay(const LinearShape& s) {
  return dtype_of<T>() == Dtype::bf16 && s.packed && s.in * s.out >= 450 * (s.in + s.out);
}

template <class T>
MatmulShape weights_shape(const LinearShape& s) {
  MatmulShape m{.m = s.out,
                .n = s.in,
                .k = s.rows,
                .in = dtype_of<T>(),
                .out = Dtype::fp32,
                .a = {0, 1, s.y_stride},
                .b = {0, s.in, 1},
                .c = {0, s.in, 1}};
  if (copies_pay<T>(s)) {
    m.a = {0, s.rows, 1};
    m.packed_b = true;
    m.unpacked_b = dtype_of<T>();
  }
  return m;
}

}  // namespace

template <class T, class Y>
struct LinearImpl<Cpu, T, Y> {
  Cpu cpu;
  LinearShape shape;
  Matmul forward_product;
  std::optional<Matmul> data_product, weights_product;  // where they are asked for
  Buffer<Cpu, T> dy_transposed;                         // (out, rows), where dW is made from copies
  Buffer<Cpu, std::byte> x_packed;                      // likewise
  std::size_t forward_bytes, data_bytes = 0;            // of the packed layouts, rounded up to cache lines

  LinearImpl(Cpu& device, const LinearShape& s)
      : cpu(device), shape(s), forward_product(forward_shape<T, Y>(s), cpu.threads),
        forward_bytes(s.packed ? round_up(forward_product.packed_b_bytes()) : 0) {
    if (!s.backward) return;
    weights_product.emplace(weights_shape<T>(s), cpu.threads);
    if (s.needs_dx && !data_by_blocks<T>(cpu, s)) data_product.emplace(data_shape<T>(s), cpu.threads);
    if (s.needs_dx && packs_data<T>(s)) data_bytes = round_up(data_product->packed_b_bytes());
    if (!copies_pay<T>(s)) return;
    dy_transposed = Buffer<Cpu, T>(cpu, s.rows * s.out);
    x_packed = Buffer<Cpu, std::byte>(cpu, static_cast<std::int64_t>(weights_product->packed_b_bytes()));
  }

  std::size_t packed_bytes() const { return forward_bytes + data_bytes; }

  void pack(const T* w, std::byte* packed) {
    forward_product.pack(w, packed);
    if (data_bytes > 0) data_product->pack(w, packed + forward_bytes);
  }

  void forward(const T* x, const LinearWeights<T>& w, Y* y) {
    forward_product.run(x, shape.packed ? static_cast<const void*>(w.packed) : w.master, y, w.bias);
  }

  void forward_gelu(const T* x, const LinearWeights<T>& w, Y* u, Y* y) {
    forward(x, w, u);
    gelu_forward(cpu, shape.rows * shape.out, u, y);
  }

  void backward_data(const T* dy, const LinearWeights<T>& w, T* dx) {
    if constexpr (dtype_of<T>() == Dtype::fp32)
      if (data_by_blocks<T>(cpu, shape)) {
        parallel_blocks(cpu, shape.rows / kDataBlock, [&](int, std::int64_t block, std::int64_t) {
          const std::int64_t row = block * kDataBlock;
          multiply_fp32(kDataBlock, shape.in, shape.out, dy + row * shape.y_stride, shape.y_stride, w.master, shape.in,
                        dx + row * shape.in, shape.in);
        });
        return;
      }
    data_product->run(dy, data_bytes > 0 ? static_cast<const void*>(w.packed + forward_bytes) : w.master, dx);
  }

  void backward_data_gelu(const T* dy, const LinearWeights<T>& w, const T* u, T* du, float* dbias, float* scratch) {
    backward_data(dy, w, du);
    gelu_backward(cpu, shape.rows, shape.in, u, du, dbias, scratch);
  }

  void backward_weights(const T* dy, const T* x, float* dw) {
    if constexpr (dtype_of<T>() == Dtype::bf16) {
      if (dy_transposed.size() > 0) {
        transpose(cpu, shape.rows, shape.out, dy, dy_transposed.get());
        weights_product->pack(x, x_packed.get());
        weights_product->run(dy_transposed.get(), x_packed.get(), dw);
        return;
      }
    }
    weights_product->run(dy, x, dw);
  }

  void backward_weights_bias(const T* dy, const T* x, float* dw, float* dbias, float* scratch) {
    backward_weights(dy, x, dw);
    column_sum(cpu, shape.rows, shape.out, shape.y_stride, dy, dbias, scratch);
  }
};

template class Linear<Cpu, float>;
template class Linear<Cpu, bf16>;
template class Linear<Cpu, bf16, float>;

}  // namespace gpumonth::ops
