#include "trainer/power.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

namespace gpumonth::trainer {
namespace {

using Clock = std::chrono::steady_clock;

// The part of nvml.h that is used here, written from NVIDIA's "NVML API Reference Guide" (docs.nvidia.com/deploy/
// nvml-api), whose ABI has been stable since driver 418: so that neither building nor starting needs NVML.
using Device = struct NvmlDevice*;  // nvmlDevice_t
using Return = int;                 // nvmlReturn_t
constexpr Return kSuccess = 0;      // NVML_SUCCESS
constexpr int kSmClock = 1;         // NVML_CLOCK_SM
constexpr int kGpuSensor = 0;       // NVML_TEMPERATURE_GPU
constexpr unsigned kMigEnabled = 1;     // NVML_DEVICE_MIG_ENABLE
constexpr unsigned kVersionChars = 80;  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE

/// The library's functions; a null one is missing in it.
class Nvml {
 public:
  explicit Nvml(const std::string& library) : handle_(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) return;
    load(init, "nvmlInit_v2");
    load(shutdown, "nvmlShutdown");
    load(error_string, "nvmlErrorString");
    load(driver_version, "nvmlSystemGetDriverVersion");
    load(by_bus_id, "nvmlDeviceGetHandleByPciBusId_v2");
    load(by_uuid, "nvmlDeviceGetHandleByUUID");
    load(mig_mode, "nvmlDeviceGetMigMode");
    load(energy, "nvmlDeviceGetTotalEnergyConsumption");
    load(power, "nvmlDeviceGetPowerUsage");
    load(clock, "nvmlDeviceGetClockInfo");
    load(temperature, "nvmlDeviceGetTemperature");
    initialised_ = init != nullptr && init() == kSuccess;
  }
  ~Nvml() {
    if (initialised_ && shutdown != nullptr) shutdown();
    if (handle_ != nullptr) dlclose(handle_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  bool loaded() const { return handle_ != nullptr; }
  bool initialised() const { return initialised_; }
  std::string text(Return code) const {
    const char* words = error_string != nullptr ? error_string(code) : nullptr;
    return words != nullptr ? words : fmt::format("error {}", code);
  }

  Return (*init)() = nullptr;
  Return (*shutdown)() = nullptr;
  const char* (*error_string)(Return) = nullptr;
  Return (*driver_version)(char*, unsigned) = nullptr;
  Return (*by_bus_id)(const char*, Device*) = nullptr;
  Return (*by_uuid)(const char*, Device*) = nullptr;
  Return (*mig_mode)(Device, unsigned*, unsigned*) = nullptr;
  Return (*energy)(Device, unsigned long long*) = nullptr;  // mJ since the driver was loaded
  Return (*power)(Device, unsigned*) = nullptr;             // mW
  Return (*clock)(Device, int, unsigned*) = nullptr;        // MHz
  Return (*temperature)(Device, int, unsigned*) = nullptr;  // degrees Celsius

 private:
  template <class Function>
  void load(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(handle_, name));
  }

  void* handle_ = nullptr;
  bool initialised_ = false;
};

/// What a query gives; nothing where the library lacks it or refuses.
template <class Value, class Function, class... Arguments>
std::optional<Value> ask(Function function, Arguments... arguments) {
  Value value{};
  if (function == nullptr || function(arguments..., &value) != kSuccess) return std::nullopt;
  return value;
}

double scaled(std::optional<unsigned> value, double factor) {
  return value ? *value * factor : std::nan("");
}

}  // namespace

struct PowerMeter::Impl {
  explicit Impl(const std::string& library) : nvml(library) {}

  /// Empty, or why this GPU cannot be metered.
  std::string find(const std::string& gpu, const std::string& library) {
    if (!nvml.loaded()) return fmt::format("{} is not there: the NVIDIA driver brings it", library);
    if (!nvml.initialised()) return fmt::format("{}: nvmlInit_v2 failed: is the driver running?", library);
    const auto by_name = gpu.starts_with("GPU-") ? nvml.by_uuid : nvml.by_bus_id;
    if (by_name == nullptr) return fmt::format("{} is too old: no look-up of a GPU by name", library);
    if (const Return code = by_name(gpu.c_str(), &device); code != kSuccess)
      return fmt::format("NVML does not know the GPU {}: {}", gpu, nvml.text(code));
    unsigned mig = 0, pending = 0;
    if (nvml.mig_mode != nullptr && nvml.mig_mode(device, &mig, &pending) == kSuccess && mig == kMigEnabled)
      return fmt::format("the GPU {} is divided by MIG: its meters are those of all instances together", gpu);
    counter_mj = ask<unsigned long long>(nvml.energy, device);
    last_w = power_w();
    if (!counter_mj && std::isnan(last_w))
      return fmt::format("the driver gives neither energy nor power of the GPU {}", gpu);
    return "";
  }

  std::string describe(const std::string& gpu) const {
    char version[kVersionChars] = "unknown";
    if (nvml.driver_version != nullptr) nvml.driver_version(version, kVersionChars);
    return fmt::format("NVML, driver {}, {} of GPU {}", static_cast<const char*>(version),
                       counter_mj ? "energy counter" : "power readings times time", gpu);
  }

  double power_w() const { return scaled(ask<unsigned>(nvml.power, device), 1e-3); }

  /// By the counter; without one the mean of the power at both ends.
  double energy_j(double power_now_w, double elapsed_s) {
    if (!has_counter) return 0.5 * (last_w + power_now_w) * elapsed_s;
    const auto now_mj = ask<unsigned long long>(nvml.energy, device);
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
    last.sm_clock_mhz = scaled(ask<unsigned>(nvml.clock, device, kSmClock), 1);
    last.temperature_c = scaled(ask<unsigned>(nvml.temperature, device, kGpuSensor), 1);
    last_w = last.power_w;
    last_time = now;
    return last;
  }

  Nvml nvml;
  Device device = nullptr;
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

}  // namespace gpumonth::trainer
