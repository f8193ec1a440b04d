#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "trainer/ops/cuda/autotune.h"
#include "trainer/ops/cuda/matmul_tuning.h"

namespace gpumonth::ops {
namespace {

constexpr int kFinalists = 3;  // the fastest of the first round, timed again for longer
constexpr double kFirstRoundUs = 1e3, kFinalRoundUs = 5e3;
/// Slower by this much, a product is as fast as another, as far as two timings tell.
constexpr double kAsFast = 1.03;

/// What this process has found out, by device and shape.
struct Known {
  std::mutex mutex;
  std::map<std::string, TunedMatmul> matmuls;
  std::map<std::string, bool> decisions;
  std::map<std::string, std::string> report;
};
Known& known() {
  static Known instance;
  return instance;
}

std::string device_key(const Cuda& device) {
  return "GPU " + std::to_string(device.context->ordinal) + (device.context->deterministic ? " deterministic" : "") +
         ": ";
}

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// Operands of the shape's sizes.
struct Trial {
  Trial(const Cuda& device, const CublasMatmulShape& s)
      : a(device, s.in, (s.a_transposed ? s.k : s.m) * s.a_stride),
        b(device, s.in, (s.b_transposed ? s.n : s.k) * s.b_stride), c(device, s.out, s.m * s.c_stride),
        vector(device, Dtype::fp32, std::max(s.m, s.n)),
        aux(device, s.out, s.epilogue == Epilogue::none || s.epilogue == Epilogue::bias ? 1 : s.m * s.n) {}
  TrialBuffer a, b, c, vector, aux;
  explicit operator bool() const { return a && b && c && vector && aux; }
};

/// Parts of k are summed by a second kernel, from memory: not where one kernel is as fast.
bool splits_k(const MatmulAlgorithm& algorithm) {
  std::int32_t parts = 1;
  std::size_t written = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoConfigGetAttribute(&algorithm.opaque, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                                                     &parts, sizeof parts, &written);
  return status == CUBLAS_STATUS_SUCCESS && parts > 1;  // -1: left to the kernel, which has no second one then
}

std::string describe(const MatmulAlgorithm& algorithm) {
  const auto read = [&algorithm](cublasLtMatmulAlgoConfigAttributes_t attribute) {
    std::uint32_t value = 0;  // every one of these is 32 bits wide
    std::size_t written = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoConfigGetAttribute(&algorithm.opaque, attribute, &value, sizeof value, &written);
    return status == CUBLAS_STATUS_SUCCESS ? std::to_string(value) : std::string("?");
  };
  return "algorithm " + read(CUBLASLT_ALGO_CONFIG_ID) + ", tile " + read(CUBLASLT_ALGO_CONFIG_TILE_ID) + ", stages " +
         read(CUBLASLT_ALGO_CONFIG_STAGES_ID) + ", split-K " + read(CUBLASLT_ALGO_CONFIG_SPLITK_NUM);
}

std::string rate(const CublasMatmulShape& s, double us) {
  const double tflops = 2e-6 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) / us;
  return number("%.1f us", us) + number(", %.1f TFLOP/s", tflops);
}

struct Timed {
  std::size_t index = 0;
  double us = 0;
};

/// Tries the suggestions on real operands: one that the library suggests may still be refused at launch.
class Contest {
 public:
  Contest(Cuda& device, const MatmulDescriptors& descriptors, const Trial& trial,
          const std::vector<MatmulAlgorithm>& algorithms)
      : device_(device), descriptors_(descriptors), trial_(trial), algorithms_(algorithms) {
    descriptors.set_epilogue_pointers(trial.vector.get(), trial.aux.get());
  }

  /// Nothing where none runs.
  std::optional<Timed> first() const {
    for (std::size_t i = 0; i < algorithms_.size(); ++i)
      if (runs(i)) return Timed{i, time(i, kFinalRoundUs)};
    return std::nullopt;
  }

  std::optional<Timed> fastest() const {
    std::vector<Timed> timed;
    for (std::size_t i = 0; i < algorithms_.size(); ++i)
      if (runs(i)) timed.push_back({i, time(i, kFirstRoundUs)});
    const auto by_time = [](const Timed& x, const Timed& y) { return x.us < y.us; };
    std::sort(timed.begin(), timed.end(), by_time);
    const auto whole = [this](const Timed& t) { return !splits_k(algorithms_[t.index]); };
    if (timed.size() > kFinalists) {  // the fastest, and the fastest that does not split k
      const auto unsplit = std::find_if(timed.begin() + kFinalists, timed.end(), whole);
      const bool one_more = std::none_of(timed.begin(), timed.begin() + kFinalists, whole) && unsplit != timed.end();
      if (one_more) timed[kFinalists] = *unsplit;
      timed.resize(kFinalists + (one_more ? 1 : 0));
    }
    for (Timed& t : timed) t.us = time(t.index, kFinalRoundUs);
    std::sort(timed.begin(), timed.end(), by_time);
    if (timed.empty()) return std::nullopt;
    const auto best = std::find_if(timed.begin(), timed.end(), whole);
    return best != timed.end() && best->us <= kAsFast * timed.front().us ? *best : timed.front();
  }

 private:
  cublasStatus_t launch(std::size_t i) const {
    return descriptors_.launch(device_, algorithms_[i], trial_.a.get(), trial_.b.get(), trial_.c.get());
  }
  bool runs(std::size_t i) const {
    const bool accepted = launch(i) == CUBLAS_STATUS_SUCCESS;
    GPUMONTH_CUDA(cudaStreamSynchronize, device_.context->stream);  // a fault in a kernel cannot be survived
    if (!accepted) cudaGetLastError();  // what a refused launch left behind is not the next call's error
    return accepted;
  }
  double time(std::size_t i, double budget_us) const {
    return time_us(device_, budget_us, [&] { launch(i); });
  }

  Cuda& device_;
  const MatmulDescriptors& descriptors_;
  const Trial& trial_;
  const std::vector<MatmulAlgorithm>& algorithms_;
};

TunedMatmul choose(Cuda& device, const CublasMatmulShape& shape, const MatmulDescriptors& descriptors,
                   AlgorithmChoice choice, std::string& line) {
  TunedMatmul tuned;
  const std::vector<MatmulAlgorithm> algorithms = descriptors.suggestions(device, shape.alignment_bytes);
  if (algorithms.empty()) {
    line = "refused by cuBLASLt";
    return tuned;
  }
  const auto any = descriptors.suggestions(device, 1);
  if (!any.empty()) tuned.any_alignment = any.front();

  const std::string of = " of " + std::to_string(algorithms.size());
  const Trial trial(device, shape);
  if (!trial) {
    tuned.found = true;
    tuned.algorithm = algorithms.front();
    line = describe(tuned.algorithm) + ", the first" + of +
           ", not timed: the GPU's free memory does not hold the operands";
    return tuned;
  }
  const Contest contest(device, descriptors, trial, algorithms);
  const bool first = choice == AlgorithmChoice::first;
  const std::optional<Timed> winner = first ? contest.first() : contest.fastest();
  if (!winner) {
    line = "refused by cuBLASLt at launch, all" + of;
    return tuned;
  }
  tuned.found = true;
  tuned.algorithm = algorithms[winner->index];
  tuned.microseconds = winner->us;
  line = rate(shape, winner->us) + ", " + describe(tuned.algorithm) + ", " + (first ? "the first" : "the fastest") + of;
  return tuned;
}

}  // namespace

TunedMatmul tune(Cuda& device, const CublasMatmulShape& shape, const MatmulDescriptors& descriptors,
                 AlgorithmChoice choice) {
  if (choice == AlgorithmChoice::by_context)
    choice = device.context->deterministic ? AlgorithmChoice::first : AlgorithmChoice::fastest;
  const std::string key =
      device_key(device) + describe(shape) + (choice == AlgorithmChoice::first ? ", first that runs" : ", fastest");
  const std::lock_guard lock(known().mutex);
  const auto found = known().matmuls.find(key);
  if (found != known().matmuls.end()) return found->second;
  std::string line;
  const TunedMatmul tuned = choose(device, shape, descriptors, choice, line);
  known().matmuls.emplace(key, tuned);
  known().report[key] = line;
  return tuned;
}

bool decided_once(const Cuda& device, const std::string& key, const std::function<Decision()>& decide) {
  const std::string full_key = device_key(device) + key;
  {
    const std::lock_guard lock(known().mutex);
    const auto found = known().decisions.find(full_key);
    if (found != known().decisions.end()) return found->second;
  }
  const Decision decision = decide();  // unlocked: it may tune products
  const std::lock_guard lock(known().mutex);
  known().report[full_key] = decision.reason;
  return known().decisions.emplace(full_key, decision.yes).first->second;
}

std::vector<std::string> matmul_tuning_report() {
  const std::lock_guard lock(known().mutex);
  std::vector<std::string> lines;
  for (const auto& [key, text] : known().report) lines.push_back(key + ": " + text);
  return lines;
}

}  // namespace gpumonth::ops
