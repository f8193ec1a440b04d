#include <stdexcept>
#include <type_traits>

#include "trainer/ops/column_sum.h"
#include "trainer/ops/cuda/linear_products.h"
#include "trainer/ops/gelu.h"
#include "trainer/ops/linear_impl.h"

namespace gpumonth::ops {

template <class T, class Y>
struct LinearImpl<Cuda, T, Y> {
  Cuda cuda;
  LinearShape shape;
  LinearProducts<T, Y> products;

  LinearImpl(Cuda& device, const LinearShape& s) : cuda(device), shape(s), products(device, s) {}

  /// W in T.
  const T* weights_of(const LinearWeights<T>& w) const {
    const T* found = w.compute_weights;
    if constexpr (std::is_same_v<T, float>) found = w.master;
    if (!found) throw std::logic_error("Linear<Cuda>: weights not given in the type that the product reads");
    return found;
  }
  /// b in y's type, which is what cuBLASLt reads. run() takes a pointer that some epilogues write; this one reads.
  Y* bias_of(const LinearWeights<T>& w) const {
    const Y* found = nullptr;
    if constexpr (std::is_same_v<Y, float>) {
      found = w.bias;
    } else {
      found = w.compute_bias;
    }
    if (!found) throw std::logic_error("Linear<Cuda>: bias not given in the type of y");
    return const_cast<Y*>(found);
  }

  std::size_t packed_bytes() const { return 0; }
  void pack(const T*, std::byte*) {}

  void forward(const T* x, const LinearWeights<T>& w, Y* y) {
    if (products.forward_adds_bias) {
      products.forward.run(x, weights_of(w), y, bias_of(w));
    } else {
      products.forward.run(x, weights_of(w), y);
      add_bias(cuda, shape.rows, shape.out, shape.y_stride, bias_of(w), y);
    }
  }

  void forward_gelu(const T* x, const LinearWeights<T>& w, Y* u, Y* y) {
    if (products.forward_gelu) {
      products.forward_gelu->run(x, weights_of(w), y, bias_of(w), u);
    } else {
      forward(x, w, u);
      gelu_forward(cuda, shape.rows * shape.out, u, y);
    }
  }

  void backward_data(const T* dy, const LinearWeights<T>& w, T* dx) {
    products.data.value().run(dy, weights_of(w), dx);
  }

  void backward_data_gelu(const T* dy, const LinearWeights<T>& w, const T* u, T* du, float* dbias, float* scratch) {
    if (!products.data_gelu) {
      backward_data(dy, w, du);
      gelu_backward(cuda, shape.rows, shape.in, u, du, dbias, scratch);
      return;
    }
    run_data_gelu(cuda, shape, *products.data_gelu, products.data_gelu_sums, dy, weights_of(w), u, du, dbias, scratch);
  }

  void backward_weights(const T* dy, const T* x, float* dw) { products.weights.value().run(dy, x, dw); }

  void backward_weights_bias(const T* dy, const T* x, float* dw, float* dbias, float* scratch) {
    if (products.weights_bias) {
      products.weights_bias->run(dy, x, dw, dbias);
    } else {
      backward_weights(dy, x, dw);
      column_sum(cuda, shape.rows, shape.out, shape.y_stride, dy, dbias, scratch);
    }
  }
};

template class Linear<Cuda, float>;
template class Linear<Cuda, bf16>;
template class Linear<Cuda, bf16, float>;

}  // namespace gpumonth::ops
