// A library with the functions of NVML that machine/power.cpp uses and one GPU, "0000:65:00.0", that says what the
// test set; or in a program that knows nothing of it the GPU of that UUID in FAKE_NVML_BUSY_GPU, at its power limit.
// Signatures and return codes: NVIDIA's "NVML API Reference Guide".
#include "tests/machine/fake_nvml.h"

#include <cstdlib>
#include <cstring>

namespace {

constexpr int kSuccess = 0, kNotSupported = 3, kNotFound = 6, kDriverNotLoaded = 9;
gpumonth::tests::FakeNvml state;
int the_gpu;

/// Where the environment names a busy GPU, each query finds that it has taken 100 mJ more.
const char* busy_gpu() {
  const char* name = std::getenv("FAKE_NVML_BUSY_GPU");
  if (name == nullptr) return "";
  state.energy_mj += 100;
  state.power_mw = 691'000;
  state.sm_clock_mhz = 1500;
  state.clock_reasons = 0x4;
  return name;
}

int find(const char* wanted, const char* name, void** device) {
  if (std::strcmp(wanted, name) != 0) return kNotFound;
  *device = &the_gpu;
  return kSuccess;
}

template <class Value>
int answer(const void* device, bool supported, Value value, Value* out) {
  ++state.queries;
  busy_gpu();
  if (device != &the_gpu || !supported) return kNotSupported;
  *out = value;
  return kSuccess;
}

}  // namespace

extern "C" {

gpumonth::tests::FakeNvml* fake_nvml() { return &state; }

int nvmlInit_v2() {
  if (state.init_fails) return kDriverNotLoaded;
  ++state.initialised;
  return kSuccess;
}
int nvmlShutdown() {
  --state.initialised;
  return kSuccess;
}
const char* nvmlErrorString(int code) { return code == kNotFound ? "Not Found" : "Some Error"; }
int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  std::strncpy(version, "580.65.06", length);
  return kSuccess;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** device) { return find(id, "0000:65:00.0", device); }
int nvmlDeviceGetHandleByUUID(const char* id, void** device) {
  const char* busy = busy_gpu();
  return find(id, *busy != '\0' ? busy : "GPU-1234", device);
}
int nvmlDeviceGetMigMode(void*, unsigned* current, unsigned* pending) {
  *current = *pending = state.mig ? 1 : 0;
  return kSuccess;
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* mj) {
  return answer(device, state.has_counter, state.energy_mj, mj);
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* mw) { return answer(device, state.has_power, state.power_mw, mw); }
int nvmlDeviceGetClockInfo(void* device, int type, unsigned* mhz) {
  return answer(device, type == 1, state.sm_clock_mhz, mhz);
}
int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* celsius) {
  return answer(device, sensor == 0, state.temperature_c, celsius);
}
int nvmlDeviceGetCurrentClocksEventReasons(void* device, unsigned long long* reasons) {
  return answer(device, true, state.clock_reasons, reasons);
}
int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned* mw) {
  return answer(device, true, state.power_limit_mw, mw);
}
int nvmlDeviceGetMaxClockInfo(void* device, int type, unsigned* mhz) {
  return answer(device, type == 1, state.highest_clock_mhz, mhz);
}

}  // extern "C"
