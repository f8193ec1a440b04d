// The power meter on a made-up NVML: joules from the energy counter, from power where there is none, and one line
// where there is nothing to read.
#include "machine/power.h"

#include <dlfcn.h>

#include <cmath>
#include <thread>

#include "machine/power_under_load.h"
#include "tests/catch.h"
#include "tests/machine/fake_nvml.h"

using gpumonth::machine::PowerMeter;
using gpumonth::machine::PowerSample;
using gpumonth::tests::contains;
using gpumonth::tests::FakeNvml;

namespace {

constexpr const char* kGpu = "0000:65:00.0";

/// The fake's state, as new.
FakeNvml& fake() {
  static void* handle = dlopen(FAKE_NVML, RTLD_NOW);
  if (handle == nullptr) FAIL(dlerror());
  static auto* state = reinterpret_cast<FakeNvml* (*)()>(dlsym(handle, "fake_nvml"))();
  *state = {};
  return *state;
}

std::unique_ptr<PowerMeter> open(std::string* why = nullptr, const char* gpu = kGpu) {
  return PowerMeter::open(gpu, why, FAKE_NVML);
}

void pass_interval() { std::this_thread::sleep_for(PowerMeter::kInterval + std::chrono::milliseconds(5)); }

std::string why_none(const char* gpu = kGpu) {
  std::string why;
  CHECK(open(&why, gpu) == nullptr);
  CHECK(why.find('\n') == std::string::npos);
  return why;
}

}  // namespace

TEST_CASE("energy is the difference of the driver's counter") {
  FakeNvml& gpu = fake();
  gpu.energy_mj = 5'000'000'000'000;  // 58 days at 1 kW: more than 32 bits
  {
    const auto meter = open();
    REQUIRE(meter != nullptr);
    CHECK_THAT(meter->source(), contains("580.65.06") && contains("energy counter") && contains(kGpu));
    pass_interval();
    gpu.energy_mj += 12'345;
    gpu.power_mw = 650'500;
    gpu.sm_clock_mhz = 1755;
    gpu.temperature_c = 61;
    const PowerSample first = meter->sample();
    CHECK(first.energy_j == Approx(12.345));
    CHECK(first.power_w == Approx(650.5));
    CHECK(first.sm_clock_mhz == 1755);
    CHECK(first.temperature_c == 61);
    pass_interval();
    gpu.energy_mj += 1000;
    CHECK(meter->sample().energy_j == Approx(1));
    CHECK(gpu.initialised == 1);
  }
  CHECK(gpu.initialised == 0);
}

TEST_CASE("short steps do not ask the driver each time, and lose no energy") {
  FakeNvml& gpu = fake();
  const auto meter = open();
  REQUIRE(meter != nullptr);
  pass_interval();
  gpu.power_mw = 100'000;
  meter->sample();
  const int queries = gpu.queries;
  gpu.energy_mj += 500;
  gpu.power_mw = 200'000;
  const PowerSample soon = meter->sample();  // this machine may have taken longer than the interval
  if (gpu.queries == queries) {
    CHECK(soon.energy_j == 0);
    CHECK(soon.power_w == Approx(100));
  }
  pass_interval();
  gpu.energy_mj += 500;
  CHECK(soon.energy_j + meter->sample().energy_j == Approx(1));
}

TEST_CASE("without a counter energy is power times time") {
  FakeNvml& gpu = fake();
  gpu.has_counter = false;
  gpu.power_mw = 100'000;
  const auto begin = std::chrono::steady_clock::now();
  const auto meter = open();
  REQUIRE(meter != nullptr);
  CHECK_THAT(meter->source(), contains("power readings"));
  const auto opened = std::chrono::steady_clock::now();
  pass_interval();
  gpu.power_mw = 300'000;  // the mean is 200 W
  const auto before = std::chrono::steady_clock::now();
  const double energy_j = meter->sample().energy_j;
  const auto after = std::chrono::steady_clock::now();
  CHECK(energy_j >= 200 * std::chrono::duration<double>(before - opened).count());
  CHECK(energy_j <= 200 * std::chrono::duration<double>(after - begin).count());
}

TEST_CASE("a counter that starts again or fails gives no number") {
  FakeNvml& gpu = fake();
  gpu.energy_mj = 9000;
  const auto meter = open();
  REQUIRE(meter != nullptr);
  pass_interval();
  gpu.energy_mj = 100;  // the driver was loaded anew
  CHECK(std::isnan(meter->sample().energy_j));
  pass_interval();
  gpu.has_counter = false;
  gpu.energy_mj = 600;
  CHECK(std::isnan(meter->sample().energy_j));
  pass_interval();
  gpu.has_counter = true;
  gpu.energy_mj = 1100;
  CHECK(meter->sample().energy_j == Approx(1));  // since the last answer
}

TEST_CASE("a GPU is found by UUID too; power alone may be missing") {
  FakeNvml& gpu = fake();
  gpu.has_power = false;
  const auto meter = open(nullptr, "GPU-1234");
  REQUIRE(meter != nullptr);
  pass_interval();
  gpu.energy_mj = 2500;
  const PowerSample sample = meter->sample();
  CHECK(sample.energy_j == Approx(2.5));
  CHECK(std::isnan(sample.power_w));
}

TEST_CASE("what holds the clock down is the driver's reasons, power and heat") {
  // nvmlClocksEventReason: 0x1 idle, 0x2 application clocks, 0x4 power cap, 0x8 HW slowdown, 0x20, 0x40 heat, 0x80 brake
  const std::vector<std::pair<unsigned long long, double>> cases = {{0, 0},    {0x1, 0},  {0x2, 0},  {0x4, 1},
                                                                    {0x80, 1}, {0x20, 2}, {0x40, 2}, {0x24, 3},
                                                                    {0x8, 3},  {0x48, 2}, {0x88, 1}, {0x100, 0}};
  FakeNvml& gpu = fake();
  const auto meter = open();
  REQUIRE(meter != nullptr);
  for (const auto& [reasons, limit] : cases) {
    INFO("reasons " << reasons);
    gpu.clock_reasons = reasons;
    pass_interval();
    CHECK(meter->sample().clock_limit == limit);
  }
}

TEST_CASE("power under load is that of the busy samples") {
  FakeNvml& gpu = fake();
  const auto meter = open();
  REQUIRE(meter != nullptr);
  const auto phase = [&](unsigned mw, unsigned mhz, unsigned long long reasons, int milliseconds) {
    gpu.power_mw = mw;
    gpu.sm_clock_mhz = mhz;
    gpu.clock_reasons = reasons;
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  };
  const auto found = gpumonth::machine::power_under_load(*meter, [&] {
    phase(120'000, 345, 0x1, 200);
    phase(691'000, 1500, 0x4, 600);
    phase(110'000, 1980, 0, 100);
  });
  CHECK(found.power_w == Approx(691));
  CHECK(found.sm_clock_mhz == 1500);
  CHECK(found.power_limited);
  CHECK_FALSE(found.heat_limited);
  CHECK(found.power_limit_w == Approx(700));
  CHECK(found.highest_sm_clock_mhz == 1980);
  const auto nothing = gpumonth::machine::power_under_load(*meter, [] {});
  CHECK_FALSE(nothing.known());
}

TEST_CASE("where nothing can be read, one line says why") {
  std::string why;
  CHECK(PowerMeter::open(kGpu, &why, "libno-such-nvml.so.1") == nullptr);
  CHECK_THAT(why, contains("libno-such-nvml.so.1") && contains("driver"));
  CHECK(PowerMeter::open(kGpu, nullptr, "libno-such-nvml.so.1") == nullptr);
  CHECK(PowerMeter::open(kGpu, &why, "libdl.so.2") == nullptr);  // a library that is no NVML
  CHECK_THAT(why, contains("nvmlInit_v2"));

  FakeNvml& gpu = fake();
  CHECK_THAT(why_none("0000:01:00.0"), contains("0000:01:00.0") && contains("Not Found"));
  gpu.mig = true;
  CHECK_THAT(why_none(), contains("MIG"));
  gpu.mig = false;
  gpu.has_counter = gpu.has_power = false;
  CHECK_THAT(why_none(), contains("neither energy nor power"));
  gpu.init_fails = true;
  CHECK_THAT(why_none(), contains("nvmlInit_v2"));
  CHECK(gpu.initialised == 0);
}
