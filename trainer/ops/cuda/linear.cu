#include <stdexcept>
#include <string>

#include "trainer/ops/cuda/linear_products.h"
#include "trainer/ops/linear.h"

namespace gpumonth::ops {

template <>
struct Linear<Cuda>::Impl {
  Cuda cuda;
  LinearShape shape;
  LinearProducts products;

  /// W in shape.dtype.
  const void* weights_of(const LinearWeights& w) const {
    const void* found = shape.dtype == Dtype::fp32 ? w.master : w.typed;
    if (!found) throw std::logic_error("Linear<Cuda>: weights not given in the type that the product reads");
    return found;
  }
  /// b in y's type, which is what cuBLASLt reads. run() takes a pointer that some epilogues write; this one reads.
  void* bias_of(const LinearWeights& w) const {
    const void* found = shape.y_dtype == Dtype::fp32 ? w.bias : w.typed_bias;
    if (!found) throw std::logic_error("Linear<Cuda>: bias not given in the type of y");
    return const_cast<void*>(found);
  }
};

namespace {

LinearShape with_stride(LinearShape s) {
  if (s.y_stride == 0) s.y_stride = s.out;
  return s;
}

}  // namespace

template <>
Linear<Cuda>::Linear(Cuda& device, const LinearShape& given)
    : impl_(new Impl{device, with_stride(given), LinearProducts(device, with_stride(given))}) {}
template <>
Linear<Cuda>::~Linear() = default;
template <>
Linear<Cuda>::Linear(Linear&&) noexcept = default;

template <>
std::size_t Linear<Cuda>::packed_bytes() const {
  return 0;
}

template <>
void Linear<Cuda>::pack(const void*, std::byte*) {}

template <>
void Linear<Cuda>::forward(const void* x, const LinearWeights& w, void* y) {
  const LinearShape& s = impl_->shape;
  const LinearProducts& products = impl_->products;
  if (products.forward_adds_bias) {
    products.forward.run(x, impl_->weights_of(w), y, impl_->bias_of(w));
  } else {
    products.forward.run(x, impl_->weights_of(w), y);
    add_bias(impl_->cuda, s.rows, s.out, s.y_stride, s.y_dtype, impl_->bias_of(w), y);
  }
}

template <>
void Linear<Cuda>::forward_gelu(const void* x, const LinearWeights& w, void* u, void* y) {
  const LinearShape& s = impl_->shape;
  if (impl_->products.forward_gelu) {
    impl_->products.forward_gelu->run(x, impl_->weights_of(w), y, impl_->bias_of(w), u);
  } else {
    forward(x, w, u);
    gelu_forward_of(impl_->cuda, s.dtype, s.rows * s.out, u, y);
  }
}

template <>
void Linear<Cuda>::backward_data(const void* dy, const LinearWeights& w, void* dx) {
  impl_->products.data.value().run(dy, impl_->weights_of(w), dx);
}

template <>
void Linear<Cuda>::backward_data_gelu(const void* dy, const LinearWeights& w, const void* u, void* du, float* dbias,
                                      float* scratch) {
  const LinearShape& s = impl_->shape;
  const LinearProducts& products = impl_->products;
  if (!products.data_gelu) {
    backward_data(dy, w, du);
    gelu_backward_of(impl_->cuda, s.dtype, s.rows, s.in, u, du, dbias, scratch);
    return;
  }
  void* const aux = const_cast<void*>(u);  // dgelu reads it
  products.data_gelu->run(dy, impl_->weights_of(w), du, products.data_gelu_sums ? dbias : nullptr, aux);
  if (!products.data_gelu_sums) column_sum_of(impl_->cuda, s.dtype, s.rows, s.in, s.in, du, dbias, scratch);
}

template <>
void Linear<Cuda>::backward_weights(const void* dy, const void* x, float* dw) {
  impl_->products.weights.value().run(dy, x, dw);
}

template <>
void Linear<Cuda>::backward_weights_bias(const void* dy, const void* x, float* dw, float* dbias, float* scratch) {
  const LinearShape& s = impl_->shape;
  if (impl_->products.weights_bias) {
    impl_->products.weights_bias->run(dy, x, dw, dbias);
  } else {
    backward_weights(dy, x, dw);
    column_sum_of(impl_->cuda, s.dtype, s.rows, s.out, s.y_stride, dy, dbias, scratch);
  }
}

}  // namespace gpumonth::ops
