// A time limit for each test case of several ranks: a hang ends in a line that says which case waits for what, not in
// CTest's own limit, which says nothing.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace gpumonth::tests {

/// As long as this lives a thread looks at the clock; past the limit it ends the job. One at a time, made by the case
/// itself. The limit is GPUMONTH_CASE_LIMIT_S seconds, 30 where that is not set.
class CaseLimit {
 public:
  CaseLimit();
  ~CaseLimit();  ///< rank 0 prints how long the case took
  CaseLimit(const CaseLimit&) = delete;
  CaseLimit& operator=(const CaseLimit&) = delete;

  /// What the case is at: "all_reduce of 4096 bytes", "step 3".
  void at(std::string what);

 private:
  void watch();

  std::string name_;
  double limit_s_, took_s_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string at_ = "its start";
  bool done_ = false;
  std::thread thread_;
};

/// The limit in force, s.
double case_limit_s();

}  // namespace gpumonth::tests
