// What the test tells the NVML that it brings: see fake_nvml.cpp.
#pragma once

namespace gpumonth::tests {

struct FakeNvml {
  bool init_fails = false;
  bool has_counter = true;  ///< nvmlDeviceGetTotalEnergyConsumption is supported
  bool has_power = true;
  bool mig = false;
  unsigned long long energy_mj = 0;
  unsigned power_mw = 0, sm_clock_mhz = 0, temperature_c = 0;
  unsigned long long clock_reasons = 0;  ///< nvmlClocksEventReason bits
  unsigned power_limit_mw = 700'000, highest_clock_mhz = 1980;
  int initialised = 0;  ///< nvmlInit_v2 less nvmlShutdown
  int queries = 0;      ///< of power, energy, clock, temperature
};

}  // namespace gpumonth::tests
