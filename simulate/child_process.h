#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace gpumonth::simulate {

struct ChildResult {
  std::vector<double> values;
  double wall_s = 0;
  std::int64_t peak_bytes = 0;  ///< the most resident memory that it had
};

/// Runs `work` in a forked process and returns what it returned: a library that may be started once in a process can be
/// used again and again, and its memory goes back. What `work` throws arrives as std::runtime_error with the same text;
/// so does a child that was killed (out of memory). The child ends with its parent.
ChildResult run_in_child(const std::function<std::vector<double>()>& work);

}  // namespace gpumonth::simulate
