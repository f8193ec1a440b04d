// What the unit of a throughput column means: "tokens/s" is what a curve holds, "tokens/s/GPU" has to be
// multiplied by the ranks, "s/step" is the reciprocal of a throughput, "GB/s" none.
#pragma once

#include <string>
#include <string_view>

namespace gpumonth::scaling {

struct ThroughputUnit {
  enum class Kind {
    total,      ///< work of all ranks per time: "images/s", "sequences(2048 tok)/min", "TFLOPS"
    per_rank,   ///< the same of one rank: "tokens/s/GPU", "img/sec per device", "TFLOP/s/GPU"
    step_rate,  ///< "it/s", "steps per second": throughput where the batch is known
    step_time,  ///< "s/step", "ms/it": likewise
    time,       ///< another time: "s", "hours", "ms/image", "time to train"
    bytes,      ///< bandwidth: "GB/s"
    other,      ///< no time in it, or per node
  };
  Kind kind = Kind::other;
  std::string total = {};  ///< of all ranks per second: "tokens/s"; empty for times and others
  double factor = 1;       ///< from the value's time to seconds: 1/60 for "images/min", 1e-3 for "ms/step"
};

/// Upper and lower case, "per" and "/", "_" and blanks are the same; words in parentheses that are no unit
/// say nothing.
ThroughputUnit parse_unit(std::string_view unit);

/// Whether a curve may hold it: work of all ranks per second.
bool is_throughput(std::string_view unit);

/// What is wrong with the unit of a curve and what to give instead; empty where it is a throughput.
std::string why_no_throughput(const std::string& unit);

}  // namespace gpumonth::scaling
