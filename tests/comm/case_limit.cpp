#include "tests/comm/case_limit.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "comm/abort.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

namespace gpumonth::tests {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

double case_limit_s() {
  const char* given = std::getenv("GPUMONTH_CASE_LIMIT_S");
  return given != nullptr ? std::atof(given) : 30;
}

CaseLimit::CaseLimit()
    : name_(Catch::getResultCapture().getCurrentTestName()), limit_s_(case_limit_s()), thread_([this] { watch(); }) {}

CaseLimit::~CaseLimit() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  wake_.notify_all();
  thread_.join();
  if (ranks().rank() == 0) {
    std::printf("%6.2f s  %s\n", took_s_, name_.c_str());
    std::fflush(stdout);
  }
}

void CaseLimit::at(std::string what) {
  const std::lock_guard lock(mutex_);
  at_ = std::move(what);
}

void CaseLimit::watch() {
  const auto begin = Clock::now();
  std::unique_lock lock(mutex_);
  const bool ended = wake_.wait_for(lock, std::chrono::duration<double>(limit_s_), [this] { return done_; });
  took_s_ = seconds_since(begin);
  if (ended) return;
  comm::abort_job(fmt::format("rank {} of {}: the test case '{}' was not over after {:.0f} s; it waits at: {}. Another "
                              "rank says where that one is",
                              ranks().rank(), ranks().size(), name_, limit_s_, at_),
                  1);
}

}  // namespace gpumonth::tests
