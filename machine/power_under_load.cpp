#include "machine/power_under_load.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/quantile.h"

namespace gpumonth::machine {
namespace {

constexpr double kBusyShare = 0.8;

/// Samples until its end.
class Sampler {
 public:
  explicit Sampler(PowerMeter& meter) : thread_([this, &meter] { run(meter); }) {}
  ~Sampler() { stop(); }
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  std::vector<PowerSample> stop() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
    return samples_;
  }

 private:
  void run(PowerMeter& meter) {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, PowerMeter::kInterval, [this] { return done_; })) samples_.push_back(meter.sample());
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::vector<PowerSample> samples_;  // the thread's own until it has ended
  std::thread thread_;
};

double median(const std::vector<PowerSample>& samples, double PowerSample::*member) {
  std::vector<double> values;
  for (const PowerSample& sample : samples)
    if (std::isfinite(sample.*member)) values.push_back(sample.*member);
  return values.empty() ? std::nan("") : quantile(values, 0.5);
}

bool mostly(const std::vector<PowerSample>& samples, unsigned limit) {
  std::size_t known = 0, limited = 0;
  for (const PowerSample& sample : samples) {
    if (!std::isfinite(sample.clock_limit)) continue;
    ++known;
    limited += (static_cast<unsigned>(sample.clock_limit) & limit) != 0 ? 1 : 0;
  }
  return 2 * limited > known;
}

}  // namespace

PowerUnderLoad power_under_load(PowerMeter& meter, const std::function<void()>& work) {
  Sampler sampler(meter);
  work();
  std::vector<PowerSample> busy = sampler.stop();
  double highest_w = 0;
  for (const PowerSample& sample : busy)
    if (std::isfinite(sample.power_w)) highest_w = std::max(highest_w, sample.power_w);
  std::erase_if(busy, [&](const PowerSample& sample) { return !(sample.power_w >= kBusyShare * highest_w); });
  PowerUnderLoad found;
  found.power_w = median(busy, &PowerSample::power_w);
  found.sm_clock_mhz = median(busy, &PowerSample::sm_clock_mhz);
  found.power_limited = mostly(busy, kPowerLimit);
  found.heat_limited = mostly(busy, kHeatLimit);
  found.power_limit_w = meter.power_limit_w();
  found.highest_sm_clock_mhz = meter.highest_sm_clock_mhz();
  return found;
}

}  // namespace gpumonth::machine
