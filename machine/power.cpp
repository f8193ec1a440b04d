#include "machine/power.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>

#include "machine/nvml.h"

namespace gpumonth::machine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSmClock = 1;          // NVML_CLOCK_SM
constexpr int kGpuSensor = 0;        // NVML_TEMPERATURE_GPU
constexpr unsigned kMigEnabled = 1;  // NVML_DEVICE_MIG_ENABLE

// nvmlClocksEventReason*
constexpr unsigned long long kSwPowerCap = 0x4, kHwSlowdown = 0x8, kSwThermalSlowdown = 0x20, kHwThermalSlowdown = 0x40,
                             kHwPowerBrake = 0x80;

unsigned clock_limit_of(unsigned long long reasons) {
  const unsigned power = (reasons & (kSwPowerCap | kHwPowerBrake)) != 0 ? kPowerLimit : kNoLimit;
  const unsigned heat = (reasons & (kSwThermalSlowdown | kHwThermalSlowdown)) != 0 ? kHeatLimit : kNoLimit;
  const unsigned found = power | heat;
  return found == kNoLimit && (reasons & kHwSlowdown) != 0 ? kPowerLimit | kHeatLimit : found;
}

/// What is called of the library; a null one is missing in it, and all are where there is none.
struct Functions {
  explicit Functions(const nvml::Library& library) {
    if (!library.loaded()) return;
    const auto load = [&](auto& function, const char* name) {
      function = library.find<std::remove_reference_t<decltype(function)>>(name);
    };
    load(error_string, "nvmlErrorString");
    load(driver_version, "nvmlSystemGetDriverVersion");
    load(by_bus_id, "nvmlDeviceGetHandleByPciBusId_v2");
    load(by_uuid, "nvmlDeviceGetHandleByUUID");
    load(mig_mode, "nvmlDeviceGetMigMode");
    load(energy, "nvmlDeviceGetTotalEnergyConsumption");
    load(power, "nvmlDeviceGetPowerUsage");
    load(clock, "nvmlDeviceGetClockInfo");
    load(temperature, "nvmlDeviceGetTemperature");
    load(clock_reasons, "nvmlDeviceGetCurrentClocksEventReasons");  // driver 535 and newer
    if (clock_reasons == nullptr) load(clock_reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
    load(power_limit, "nvmlDeviceGetEnforcedPowerLimit");
    load(highest_clock, "nvmlDeviceGetMaxClockInfo");
  }

  std::string text(nvml::Return code) const {
    const char* words = error_string != nullptr ? error_string(code) : nullptr;
    return words != nullptr ? words : fmt::format("error {}", code);
  }

  const char* (*error_string)(nvml::Return) = nullptr;
  nvml::Return (*driver_version)(char*, unsigned) = nullptr;
  nvml::Return (*by_bus_id)(const char*, nvml::Device*) = nullptr;
  nvml::Return (*by_uuid)(const char*, nvml::Device*) = nullptr;
  nvml::Return (*mig_mode)(nvml::Device, unsigned*, unsigned*) = nullptr;
  nvml::Return (*energy)(nvml::Device, unsigned long long*) = nullptr;  // mJ since the driver was loaded
  nvml::Return (*power)(nvml::Device, unsigned*) = nullptr;             // mW
  nvml::Return (*clock)(nvml::Device, int, unsigned*) = nullptr;        // MHz
  nvml::Return (*temperature)(nvml::Device, int, unsigned*) = nullptr;  // degrees Celsius
  nvml::Return (*clock_reasons)(nvml::Device, unsigned long long*) = nullptr;
  nvml::Return (*power_limit)(nvml::Device, unsigned*) = nullptr;         // mW
  nvml::Return (*highest_clock)(nvml::Device, int, unsigned*) = nullptr;  // MHz
};

/// What a query gives; nothing where the library lacks it or refuses.
template <class Value, class Function, class... Arguments>
std::optional<Value> ask(Function function, Arguments... arguments) {
  Value value{};
  if (function == nullptr || function(arguments..., &value) != nvml::kSuccess) return std::nullopt;
  return value;
}

double scaled(std::optional<unsigned> value, double factor) { return value ? *value * factor : std::nan(""); }

}  // namespace

struct PowerMeter::Impl {
  explicit Impl(const std::string& file) : library(file), driver(library) {}

  /// Empty, or why this GPU cannot be metered.
  std::string find(const std::string& gpu, const std::string& file) {
    if (!library.loaded()) return fmt::format("{} is not there: the NVIDIA driver brings it", file);
    if (!library.running()) return fmt::format("{}: nvmlInit_v2 failed: is the driver running?", file);
    const auto by_name = gpu.starts_with("GPU-") ? driver.by_uuid : driver.by_bus_id;
    if (by_name == nullptr) return fmt::format("{} is too old: no look-up of a GPU by name", file);
    if (const nvml::Return code = by_name(gpu.c_str(), &device); code != nvml::kSuccess)
      return fmt::format("NVML does not know the GPU {}: {}", gpu, driver.text(code));
    unsigned mig = 0, pending = 0;
    if (driver.mig_mode != nullptr && driver.mig_mode(device, &mig, &pending) == nvml::kSuccess && mig == kMigEnabled)
      return fmt::format("the GPU {} is divided by MIG: its meters are those of all instances together", gpu);
    counter_mj = ask<unsigned long long>(driver.energy, device);
    last_w = power_w();
    if (!counter_mj && std::isnan(last_w))
      return fmt::format("the driver gives neither energy nor power of the GPU {}", gpu);
    return "";
  }

  std::string describe(const std::string& gpu) const {
    char version[nvml::kVersionChars] = "unknown";
    if (driver.driver_version != nullptr) driver.driver_version(version, nvml::kVersionChars);
    return fmt::format("NVML, driver {}, {} of GPU {}", static_cast<const char*>(version),
                       counter_mj ? "energy counter" : "power readings times time", gpu);
  }

  double power_w() const { return scaled(ask<unsigned>(driver.power, device), 1e-3); }

  /// By the counter; without one the mean of the power at both ends.
  double energy_j(double power_now_w, double elapsed_s) {
    if (!has_counter) return 0.5 * (last_w + power_now_w) * elapsed_s;
    const auto now_mj = ask<unsigned long long>(driver.energy, device);
    if (!now_mj) return std::nan("");  // the next answer covers this time as well
    const auto before_mj = std::exchange(counter_mj, now_mj);
    // It starts again from 0 when the driver is loaded anew.
    if (*now_mj < *before_mj) return std::nan("");
    return static_cast<double>(*now_mj - *before_mj) * 1e-3;
  }

  PowerSample sample() {
    const auto now = Clock::now();
    if (now - last_time < kInterval) {
      PowerSample again = last;
      again.energy_j = 0;
      return again;
    }
    last.power_w = power_w();
    last.energy_j = energy_j(last.power_w, std::chrono::duration<double>(now - last_time).count());
    last.sm_clock_mhz = scaled(ask<unsigned>(driver.clock, device, kSmClock), 1);
    last.temperature_c = scaled(ask<unsigned>(driver.temperature, device, kGpuSensor), 1);
    const auto reasons = ask<unsigned long long>(driver.clock_reasons, device);
    last.clock_limit = reasons ? clock_limit_of(*reasons) : std::nan("");
    last_w = last.power_w;
    last_time = now;
    return last;
  }

  nvml::Library library;
  Functions driver;
  nvml::Device device = nullptr;
  std::string source;
  bool has_counter = false;
  std::optional<unsigned long long> counter_mj;
  double last_w = std::nan("");
  PowerSample last;
  Clock::time_point last_time;
};

PowerMeter::PowerMeter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PowerMeter::~PowerMeter() = default;

std::unique_ptr<PowerMeter> PowerMeter::open(const std::string& gpu, std::string* why_none,
                                             const std::string& library) {
  auto impl = std::make_unique<Impl>(library);
  if (const std::string reason = impl->find(gpu, library); !reason.empty()) {
    if (why_none != nullptr) *why_none = reason;
    return nullptr;
  }
  impl->has_counter = impl->counter_mj.has_value();
  impl->source = impl->describe(gpu);
  impl->last_time = Clock::now();
  return std::unique_ptr<PowerMeter>(new PowerMeter(std::move(impl)));
}

const std::string& PowerMeter::source() const { return impl_->source; }
PowerSample PowerMeter::sample() { return impl_->sample(); }
double PowerMeter::power_limit_w() const {
  return scaled(ask<unsigned>(impl_->driver.power_limit, impl_->device), 1e-3);
}
double PowerMeter::highest_sm_clock_mhz() const {
  return scaled(ask<unsigned>(impl_->driver.highest_clock, impl_->device, kSmClock), 1);
}

}  // namespace gpumonth::machine
