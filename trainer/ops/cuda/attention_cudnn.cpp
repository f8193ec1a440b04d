// cuDNN's scaled-dot-product attention: which plans there are, which is taken, and its execution. Q, K and V
// are read from the interleaved qkv, and their gradients written there, by strides.
#include "trainer/ops/cuda/attention_cudnn.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <vector>

#include "trainer/ops/attention_impl.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/cuda/attention_graphs.h"

namespace gpumonth::ops {
namespace {

using namespace attention;

// Deterministic backward keeps the gradient of all scores in the workspace, in bf16, instead of adding up dQ
// in an order that varies: more than this is done piece by piece.
constexpr std::int64_t kScoreGradientBytes = std::int64_t{1} << 30;
constexpr std::int64_t kMostPlans = 6;  // of one graph: heuristics list the good ones first
constexpr int kTimedRuns = 5;
constexpr double kLongRun_s =
    0.1;  // one is enough from here on: a clip's attention takes seconds, of six plans each way

Piece backward_piece(const AttentionShape& s, bool deterministic) {
  if (!deterministic) return {s.batch, s.heads};
  const std::int64_t head_bytes = s.tokens * s.tokens * 2;
  const std::int64_t batch = largest_divisor(s.batch, kScoreGradientBytes / (head_bytes * s.heads));
  const bool whole = batch * s.heads * head_bytes <= kScoreGradientBytes;
  return {batch, whole ? s.heads : largest_divisor(s.heads, kScoreGradientBytes / head_bytes)};
}

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// One way to compute a pass.
struct Plan {
  std::shared_ptr<Graph> graph;
  std::int64_t index = 0;
  std::int64_t workspace_bytes = 0;
};

bool good(fe::error_t status, std::string* why) {
  if (status.is_bad()) *why = one_line(status.get_message());
  return status.is_good();
}

/// What the library lists for `graph`, best guess first, not yet built; `why` is set where that is nothing.
std::vector<Plan> plans_of(cudnnHandle_t handle, const std::shared_ptr<Graph>& graph, std::string* why) {
  std::vector<Plan> plans;
  try {
    if (!good(graph->validate(), why) || !good(graph->build_operation_graph(handle), why)) return plans;
    if (!good(graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}), why) &&
        !good(graph->create_execution_plans({fe::HeurMode_t::A}), why))
      return plans;
    for (std::int64_t i = 0; i < std::min(kMostPlans, graph->get_execution_plan_count()); ++i)
      plans.push_back({graph, i});
  } catch (const std::exception& error) {  // parts of the frontend throw
    *why = one_line(error.what());
  }
  return plans;
}

bool build(Plan* plan, std::string* why) {
  return good(plan->graph->build_plan_at_index(plan->index), why) &&
         good(plan->graph->get_workspace_size_plan_at_index(plan->index, plan->workspace_bytes), why);
}

class Fused {
 public:
  Fused(const Cuda& device, const AttentionShape& shape)
      : device_(device), context_(*device.context), shape_(shape),
        backward_piece_(ops::backward_piece(shape, context_.deterministic)) {
    if (!context_.cudnn) {
      cudnnHandle_t handle = nullptr;
      if (const cudnnStatus_t status = cudnnCreate(&handle); status != CUDNN_STATUS_SUCCESS)
        throw CudaError(std::string("cudnnCreate: ") + cudnnGetErrorString(status));
      context_.cudnn = std::shared_ptr<void>(handle, [](void* h) { cudnnDestroy(static_cast<cudnnHandle_t>(h)); });
    }
    if (const cudnnStatus_t status = cudnnSetStream(handle(), context_.stream); status != CUDNN_STATUS_SUCCESS)
      throw CudaError(std::string("cudnnSetStream: ") + cudnnGetErrorString(status));
    if (needs_token_counts()) {
      const std::vector<std::int32_t> counts(static_cast<std::size_t>(shape.batch),
                                             static_cast<std::int32_t>(shape.tokens));
      token_counts_ = Buffer<Cuda, std::int32_t>(device_, shape.batch);
      copy_to_device(device_, token_counts_.get(), counts.data(), token_counts_.bytes());
    }
  }

  /// Chooses the plans; sets the names in `names`.
  void prepare(FusedAttention* names) {
    Scratch scratch = make_scratch();
    std::string why = "it offers no plan";
    // Two kinds of engines; which one knows a shape, and which is faster, depends on version and device.
    std::vector<Plan> plans;
    for (auto kind : {fe::AttentionImplementation_t::COMPOSITE, fe::AttentionImplementation_t::UNIFIED}) {
      std::string reason;
      const auto more = plans_of(handle(), GraphBuilder(shape_, {shape_.batch, shape_.heads}).forward(kind), &reason);
      if (more.empty() && kind == fe::AttentionImplementation_t::COMPOSITE) why = reason;
      plans.insert(plans.end(), more.begin(), more.end());
    }
    forward_ = choose(plans, forward_pointers(scratch.qkv(), scratch.out(), scratch.log_sum_exp()), scratch, &why);
    names->forward_plan = forward_.graph ? name_of(forward_) : "cuDNN: " + why;

    if (shape_.backward) {
      why = "it offers no plan";
      plans = plans_of(
          handle(), GraphBuilder(shape_, backward_piece_).backward(context_.deterministic, needs_token_counts()), &why);
      backward_ = choose(
          plans,
          backward_pointers(scratch.qkv(), scratch.out(), scratch.log_sum_exp(), scratch.dout(), scratch.dqkv(), 0, 0),
          scratch, &why);
      names->backward_plan = backward_.graph ? name_of(backward_) : "cuDNN: " + why;
    }

    scratch = {};
    const auto bytes = std::max(forward_.workspace_bytes, backward_.workspace_bytes);
    if (static_cast<std::size_t>(bytes) > context_.workspace_bytes)
      workspace_ = Buffer<Cuda, std::byte>(device_, bytes);
  }

  bool has_forward() const { return forward_.graph != nullptr; }
  bool has_backward() const { return backward_.graph != nullptr; }

  void forward(const bf16* qkv, bf16* out, float* log_sum_exp) {
    require(execute(forward_, forward_pointers(qkv, out, log_sum_exp), workspace()), __LINE__);
  }

  void backward(const bf16* qkv, const bf16* out, const float* log_sum_exp, const bf16* dout, bf16* dqkv) {
    for (std::int64_t sample = 0; sample < shape_.batch; sample += backward_piece_.batch)
      for (std::int64_t head = 0; head < shape_.heads; head += backward_piece_.heads)
        require(execute(backward_, backward_pointers(qkv, out, log_sum_exp, dout, dqkv, sample, head), workspace()),
                __LINE__);
  }

 private:
  /// What plans are tried on. Without memory for it the first plan is taken as it is.
  struct Scratch {
    Buffer<Cuda, bf16> values;
    Buffer<Cuda, float> rows;  // made last: without it nothing is tried
    std::int64_t outputs = 0;  // elements of out
    bf16* qkv() const { return values.get(); }
    bf16* dqkv() const { return values.get() + 3 * outputs; }
    bf16* out() const { return values.get() + 6 * outputs; }
    bf16* dout() const { return values.get() + 7 * outputs; }
    float* log_sum_exp() const { return rows.get(); }
  };

  cudnnHandle_t handle() const { return static_cast<cudnnHandle_t>(context_.cudnn.get()); }
  void* workspace() const { return workspace_.get() ? workspace_.get() : context_.workspace; }

  /// Whether backward is told how many tokens are real although all are, so that its kernels mask what their
  /// tiles hold beyond the last key.
  /// Up to 9.15.0 the frontend does so itself for token counts that 128 does not divide, because of a fault
  /// of cuDNN, by copying such counts from a host vector that a recorded step outlives. Given by us, nothing
  /// is copied. Hopper's kernels leave keys 64 to 127 of a last half tile unmasked before 9.26: where every
  /// score of a query is below -ln(FLT_MAX) = -88.7, exp(0 - log_sum_exp) overflows and dQ is NaN
  /// (github.com/NVIDIA/cudnn-frontend/pull/628).
  bool needs_token_counts() const {
    const std::size_t version = cudnnGetVersion();
    return (version <= 91500 && shape_.tokens % 128 != 0) || (version < 92600 && shape_.tokens % 128 == 64);
  }

  Scratch make_scratch() {
    Scratch scratch;
    try {
      scratch.outputs = shape_.batch * shape_.tokens * shape_.heads * shape_.head_dim;
      scratch.values = Buffer<Cuda, bf16>(device_, 8 * scratch.outputs);
      scratch.rows = Buffer<Cuda, float>(device_, shape_.batch * shape_.heads * shape_.tokens);
    } catch (const CudaError&) {
      return {};
    }
    return scratch;
  }

  Pointers forward_pointers(const bf16* qkv, bf16* out, float* log_sum_exp) const {
    bf16* q = const_cast<bf16*>(qkv);
    const std::int64_t width = shape_.heads * shape_.head_dim;
    return {{kQ, q}, {kK, q + width}, {kV, q + 2 * width}, {kOut, out}, {kStats, log_sum_exp}};
  }

  Pointers backward_pointers(const bf16* qkv, const bf16* out, const float* log_sum_exp, const bf16* dout, bf16* dqkv,
                             std::int64_t sample, std::int64_t head) const {
    const std::int64_t width = shape_.heads * shape_.head_dim;
    const std::int64_t at_out = sample * shape_.tokens * width + head * shape_.head_dim;
    const std::int64_t at_qkv = sample * shape_.tokens * 3 * width + head * shape_.head_dim;
    bf16* q = const_cast<bf16*>(qkv) + at_qkv;
    bf16* dq = dqkv + at_qkv;
    Pointers pointers{{kQ, q},
                      {kK, q + width},
                      {kV, q + 2 * width},
                      {kOut, const_cast<bf16*>(out) + at_out},
                      {kDout, const_cast<bf16*>(dout) + at_out},
                      {kStats, const_cast<float*>(log_sum_exp) + (sample * shape_.heads + head) * shape_.tokens},
                      {kDq, dq},
                      {kDk, dq + width},
                      {kDv, dq + 2 * width}};
    if (needs_token_counts()) pointers[kQueryTokens] = pointers[kKeyTokens] = token_counts_.get();
    return pointers;
  }

  fe::error_t execute(const Plan& plan, Pointers pointers, void* workspace) const {
    return plan.graph->execute_plan_at_index(handle(), pointers, workspace, plan.index);
  }

  void require(fe::error_t status, int line) const {
    if (status.is_good()) return;
    throw CudaError("cudnnBackendExecute: " + one_line(status.get_message()) + " at " + __FILE__ + ":" +
                    std::to_string(line) + " - CUDNN_LOGLEVEL_DBG=3 CUDNN_LOGDEST_DBG=stderr shows more");
  }

  /// The fastest plan that runs; in a deterministic context the first, as timings vary from run to run and
  /// two plans may round differently. An empty plan where none does.
  Plan choose(const std::vector<Plan>& plans, const Pointers& pointers, const Scratch& scratch, std::string* why) {
    Plan best;
    double best_s = std::numeric_limits<double>::infinity();
    for (Plan plan : plans) {
      try {
        if (!build(&plan, why)) continue;
        const double took_s = scratch.rows.get() ? seconds(plan, pointers) : 0;
        if (took_s < best_s) best = plan, best_s = took_s;
      } catch (const std::exception& error) {
        *why = one_line(error.what());
      }
      if (best.graph && (context_.deterministic || !scratch.rows.get())) break;
    }
    return best;
  }

  double seconds(const Plan& plan, const Pointers& pointers) {
    Buffer<Cuda, std::byte> own;
    if (static_cast<std::size_t>(plan.workspace_bytes) > context_.workspace_bytes)
      own = Buffer<Cuda, std::byte>(device_, plan.workspace_bytes);
    void* workspace = own.get() ? own.get() : context_.workspace;
    const auto started = std::chrono::steady_clock::now();
    require(execute(plan, pointers, workspace), __LINE__);
    synchronize(device_);
    if (context_.deterministic) return 0;
    const double first_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (first_s > kLongRun_s) return kTimedRuns * first_s;
    const machine::CudaEvent begin, end;
    GPUMONTH_CUDA(cudaEventRecord, begin.get(), context_.stream);
    for (int i = 0; i < kTimedRuns; ++i) require(execute(plan, pointers, workspace), __LINE__);
    GPUMONTH_CUDA(cudaEventRecord, end.get(), context_.stream);
    GPUMONTH_CUDA(cudaEventSynchronize, end.get());
    return seconds_between(begin, end);
  }

  std::string name_of(const Plan& plan) const {
    std::string name;
    if (plan.graph->get_plan_name_at_index(plan.index, name).is_bad()) name = "unnamed";
    return "cuDNN " + std::to_string(cudnnGetVersion()) + " " + one_line(name);
  }

  Cuda device_;
  CudaContext& context_;
  AttentionShape shape_;
  Piece backward_piece_;
  Plan forward_, backward_;
  Buffer<Cuda, std::byte> workspace_;
  Buffer<Cuda, std::int32_t> token_counts_;
};

}  // namespace

FusedAttention make_fused_attention(Cuda& device, const AttentionShape& shape) {
  FusedAttention result;
  if (const std::size_t version = cudnnGetVersion(); version == 91000 || version == 91001) {
    // Later frontends refuse them as well.
    result.forward_plan = result.backward_plan =
        "cuDNN 9.10.0 and 9.10.1 have known faults in attention: take 9.10.2 or newer";
    return result;
  }
  try {
    auto fused = std::make_shared<Fused>(device, shape);
    fused->prepare(&result);
    if (fused->has_forward())
      result.forward = [fused](const bf16* qkv, bf16* out, float* log_sum_exp) {
        fused->forward(qkv, out, log_sum_exp);
      };
    if (fused->has_backward())
      result.backward = [fused](const bf16* qkv, const bf16* out, const float* log_sum_exp, const bf16* dout,
                                bf16* dqkv) { fused->backward(qkv, out, log_sum_exp, dout, dqkv); };
  } catch (const std::exception& error) {
    result = {};
    result.forward_plan = result.backward_plan = one_line(error.what());
  }
  return result;
}

bool has_fused_attention() { return true; }

}  // namespace gpumonth::ops
