// Energy, power, clock and temperature of one GPU as its driver measures them, through NVML (NVIDIA Management
// Library), which is loaded at run time: a machine without it has no such columns in its run log, and nothing else.
#pragma once

#include <chrono>
#include <limits>
#include <memory>
#include <string>

namespace gpumonth::machine {

/// What held the clock down, by the driver: bits, so that both is 3. "HW slowdown" without a finer reason is both.
enum ClockLimit : unsigned { kNoLimit = 0, kPowerLimit = 1, kHeatLimit = 2 };

/// What the GPU did since the sample before; NaN where this GPU's driver does not say.
struct PowerSample {
  double energy_j = std::numeric_limits<double>::quiet_NaN();       ///< since the last sample, the whole board
  double power_w = std::numeric_limits<double>::quiet_NaN();        ///< mean of the last second on H100, see NVML
  double sm_clock_mhz = std::numeric_limits<double>::quiet_NaN();   ///< now
  double temperature_c = std::numeric_limits<double>::quiet_NaN();  ///< now
  double clock_limit = std::numeric_limits<double>::quiet_NaN();    ///< now, a ClockLimit
};

/// No thread of its own: whoever asks waits for the driver's answer, up to some ms. So ask while the GPU works on a
/// step that has been enqueued. The driver is asked at most every kInterval; in between energy_j is 0 and the rest is
/// the last answer, so that sums over samples stay right. The driver's own energy counter moves every 20 to 100 ms:
/// for short steps only sums and means over many mean something.
class PowerMeter {
 public:
  static constexpr std::chrono::milliseconds kInterval{20};

  /// The GPU of this PCI bus id ("0000:65:00.0", from cudaDeviceGetPCIBusId) or UUID ("GPU-..."). Null where there is
  /// none: no NVML, no such GPU, neither energy nor power known, or a GPU divided by MIG (its meters are those of all
  /// instances together). `why_none` then gets one line.
  static std::unique_ptr<PowerMeter> open(const std::string& gpu, std::string* why_none = nullptr,
                                          const std::string& library = "libnvidia-ml.so.1");
  ~PowerMeter();
  PowerMeter(const PowerMeter&) = delete;
  PowerMeter& operator=(const PowerMeter&) = delete;

  /// Where the numbers come from, for RunInfo::power_source: "NVML, driver 580.65, energy counter of GPU 0000:65:00.0".
  const std::string& source() const;
  /// The first call counts from open().
  PowerSample sample();

  double power_limit_w() const;         ///< what the driver holds the board to; NaN: it does not say, as in the next
  double highest_sm_clock_mhz() const;  ///< that the GPU ever runs at

 private:
  struct Impl;
  explicit PowerMeter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gpumonth::machine
