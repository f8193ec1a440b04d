#include <limits>

#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/swap_axes.h"

namespace gpumonth::ops {
namespace {

/// One word of the output a thread; a row has `words` of them. Index: what counts all words.
template <class Word, class Index>
__global__ void __launch_bounds__(kBlockThreads)
    swap_axes_kernel(Index a, Index b, Index words, const Word* __restrict__ in, Word* __restrict__ out) {
  const Index at = static_cast<Index>(blockIdx.x) * kBlockThreads + threadIdx.x;
  if (at >= a * b * words) return;
  const Index row = at / words, word = at - row * words, j = row / a, i = row - j * a;
  out[at] = in[(i * b + j) * words + word];
}

template <int Bytes, class T>
void launch(Cuda& cuda, std::int64_t a, std::int64_t b, std::int64_t w, const T* in, T* out) {
  using Word = typename RawBytes<Bytes>::type;
  const std::int64_t words = w * static_cast<std::int64_t>(sizeof(T)) / Bytes, all = a * b * words;
  const unsigned blocks = blocks_for(all, kBlockThreads);
  const auto* from = reinterpret_cast<const Word*>(in);
  auto* to = reinterpret_cast<Word*>(out);
  if (all <= std::numeric_limits<int>::max()) {
    const auto kernel = swap_axes_kernel<Word, unsigned>;
    kernel<<<blocks, kBlockThreads, 0, stream_of(cuda)>>>(static_cast<unsigned>(a), static_cast<unsigned>(b),
                                                          static_cast<unsigned>(words), from, to);
  } else {
    const auto kernel = swap_axes_kernel<Word, std::int64_t>;
    kernel<<<blocks, kBlockThreads, 0, stream_of(cuda)>>>(a, b, words, from, to);
  }
  GPUMONTH_CUDA_LAUNCHED();
}

/// Whether rows and pointers are multiples of so many bytes.
template <int Bytes, class T>
bool in_words(std::int64_t w, const T* in, const T* out) {
  constexpr int kElements = Bytes / static_cast<int>(sizeof(T));
  return w % kElements == 0 && aligned<kElements>(in, out);
}

}  // namespace

template <class T>
void swap_axes(Cuda& cuda, std::int64_t a, std::int64_t b, std::int64_t w, const T* in, T* out) {
  if (a * b * w <= 0) return;
  if (in_words<16>(w, in, out)) return launch<16>(cuda, a, b, w, in, out);
  if (in_words<8>(w, in, out)) return launch<8>(cuda, a, b, w, in, out);
  launch<static_cast<int>(sizeof(T))>(cuda, a, b, w, in, out);
}

template void swap_axes(Cuda&, std::int64_t, std::int64_t, std::int64_t, const float*, float*);
template void swap_axes(Cuda&, std::int64_t, std::int64_t, std::int64_t, const bf16*, bf16*);

}  // namespace gpumonth::ops
