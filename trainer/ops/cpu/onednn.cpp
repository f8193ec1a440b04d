#include "trainer/ops/cpu/onednn.h"

#include <fmt/format.h>
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <unordered_map>

#include "machine/threads.h"
#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {
namespace {

using memory = dnnl::memory;

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::data_type data_type(Dtype dtype) {
  return dtype == Dtype::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc plain(Dtype dtype, std::int64_t batch, std::int64_t rows, std::int64_t columns, const Strides& s) {
  if (batch == 1) return memory::desc({rows, columns}, data_type(dtype), {s.row, s.column});
  return memory::desc({batch, rows, columns}, data_type(dtype), {s.batch, s.row, s.column});
}

memory::desc bias_desc(const MatmulShape& s) {
  if (!s.bias) return memory::desc();
  if (s.batch == 1) return memory::desc({1, s.n}, memory::data_type::f32, memory::format_tag::ab);
  return memory::desc({1, 1, s.n}, memory::data_type::f32, memory::format_tag::abc);
}

dnnl::primitive_attr attributes(const MatmulShape& s) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // the library's own one is not safe across threads
  dnnl::post_ops ops;
#if DNNL_VERSION_MAJOR >= 3
  if (s.alpha != 1.0f) ops.append_eltwise(dnnl::algorithm::eltwise_linear, s.alpha, 0.0f);
#else
  if (s.alpha != 1.0f) attr.set_output_scales(0, {s.alpha});
#endif
  if (s.accumulate) ops.append_sum(1.0f);
  attr.set_post_ops(ops);
  return attr;
}

dnnl::matmul::primitive_desc describe(const MatmulShape& s, const memory::desc& a, const memory::desc& b,
                                      const memory::desc& c) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul::primitive_desc(cpu_engine(), a, b, bias_desc(s), c, attributes(s));
#else
  const auto desc = s.bias ? dnnl::matmul::desc(a, b, bias_desc(s), c) : dnnl::matmul::desc(a, b, c);
  return dnnl::matmul::primitive_desc(desc, attributes(s), cpu_engine());
#endif
}

/// oneDNN plans a primitive for the OpenMP threads of the moment at which it is made, and runs it on those of the
/// moment at which it runs: both are set, so that a one-thread product never wakes a team.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) {
    machine::require_threads(threads);
    if (threads != before_) omp_set_num_threads(threads);
  }
  ~ThreadScope() {
    if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
  }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

}  // namespace

struct Matmul::Impl {
  MatmulShape shape;
  int threads;
  dnnl::matmul::primitive_desc description;
  dnnl::matmul primitive;
  memory a, b, c, bias, scratch;
  dnnl::stream stream{cpu_engine()};
  std::unordered_map<int, memory> arguments;
  memory pack_source, pack_target;
  dnnl::reorder packing;

  void describe_and_bind() {
    const Dtype in = shape.in;
    const auto a_desc = plain(in, shape.batch, shape.m, shape.k, shape.a);
    auto b_desc = plain(in, shape.batch, shape.k, shape.n, shape.b);
    if (shape.packed_b) b_desc = memory::desc({shape.k, shape.n}, data_type(in), memory::format_tag::any);
    description = describe(shape, a_desc, b_desc, plain(shape.out, shape.batch, shape.m, shape.n, shape.c));
    primitive = dnnl::matmul(description);
    a = memory(description.src_desc(), cpu_engine(), nullptr);
    b = memory(description.weights_desc(), cpu_engine(), nullptr);
    c = memory(description.dst_desc(), cpu_engine(), nullptr);
    scratch = memory(description.scratchpad_desc(), cpu_engine());
    arguments = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}, {DNNL_ARG_SCRATCHPAD, scratch}};
    if (shape.bias) {
      bias = memory(bias_desc(shape), cpu_engine(), nullptr);
      arguments[DNNL_ARG_BIAS] = bias;
    }
    if (shape.packed_b) {
      pack_source = memory(plain(shape.unpacked_b, 1, shape.k, shape.n, shape.b), cpu_engine(), nullptr);
      pack_target = memory(description.weights_desc(), cpu_engine(), nullptr);
      packing = dnnl::reorder(pack_source, pack_target);
    }
  }
};

Matmul::Matmul(const MatmulShape& shape, int threads) : impl_(std::make_unique<Impl>()) {
  impl_->shape = shape;
  impl_->threads = threads;
  const ThreadScope scope(threads);
  impl_->describe_and_bind();
}
Matmul::~Matmul() = default;
Matmul::Matmul(Matmul&&) noexcept = default;
Matmul& Matmul::operator=(Matmul&&) noexcept = default;

void Matmul::run(const void* a, const void* b, void* c, const float* bias) {
  Impl& m = *impl_;
  const ThreadScope scope(m.threads);
  m.a.set_data_handle(const_cast<void*>(a));
  m.b.set_data_handle(const_cast<void*>(b));
  m.c.set_data_handle(c);
  if (m.shape.bias) m.bias.set_data_handle(const_cast<float*>(bias));
  m.primitive.execute(m.stream, m.arguments);
}

std::size_t Matmul::packed_b_bytes() const { return impl_->description.weights_desc().get_size(); }

void Matmul::pack(const void* b, void* packed) {
  Impl& m = *impl_;
  const ThreadScope scope(m.threads);
  m.pack_source.set_data_handle(const_cast<void*>(b));
  m.pack_target.set_data_handle(packed);
  m.packing.execute(m.stream, m.pack_source, m.pack_target);
}

std::string Matmul::implementation() const { return impl_->description.impl_info_str(); }

void multiply_fp32(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t a_row, const float* b,
                   std::int64_t b_row, float* c, std::int64_t c_row) {
  const ThreadScope scope(1);
  if (dnnl_sgemm('N', 'N', m, n, k, 1.0f, a, a_row, b, b_row, 0.0f, c, c_row) != dnnl_success)
    throw std::runtime_error(fmt::format("oneDNN's sgemm refuses {} x {} x {} (out of memory?)", m, n, k));
}

std::string onednn_version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

std::string onednn_isa() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41: return "sse41";
    case dnnl::cpu_isa::avx: return "avx";
    case dnnl::cpu_isa::avx2: return "avx2";
    case dnnl::cpu_isa::avx2_vnni: return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core: return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni: return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16: return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx: return "avx512_core_amx";
    default: return fmt::format("isa {:#x}", static_cast<unsigned>(dnnl::get_effective_cpu_isa()));
  }
}

bool has_bf16_hardware() {
  // Every instruction set from AVX512-BF16 on contains its bits in oneDNN's numbering.
  const auto have = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto need = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (have & need) == need;
}

}  // namespace gpumonth::ops
