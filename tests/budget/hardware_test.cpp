#include "model/hardware.h"

#include <tuple>

#include "base/error.h"
#include "base/shipped.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

TEST_CASE("the shipped devices are found by the driver's name", "[hardware]") {
  const auto all = model::load_hardware(tests::source_path("configs/hardware"));
  CHECK(all.size() >= 8);
  for (const auto& hardware : all) {
    INFO(hardware.name);
    CHECK(hardware.peak_flops_per_s > 1e14);
    CHECK(hardware.memory_gb >= 40);
    CHECK(hardware.memory_bandwidth_bytes_per_s > 0.8e12);
    CHECK(hardware.power_w >= 250);
    CHECK_FALSE(hardware.source.empty());
  }
  const auto* h100 = model::match(all, "nvidia h100 80gb hbm3 ");
  REQUIRE(h100 != nullptr);
  CHECK(h100->peak_flops_per_s == 989.4e12);
  REQUIRE(model::match(all, "NVIDIA H200") != nullptr);
  REQUIRE(model::match(all, "NVIDIA H200 NVL") != nullptr);
  CHECK(model::match(all, "NVIDIA H200")->name != model::match(all, "NVIDIA H200 NVL")->name);
}

TEST_CASE("a peak is SMs times FLOP of one and a clock times the clock of that peak", "[hardware]") {
  // SMs by the architecture white papers; dense bf16 of an SM: A100 2,048, H100 and H200 4,096, Ada 1,024 FLOP a clock
  const std::vector<std::tuple<const char*, double, double>> devices = {
      {"NVIDIA A100-SXM4-80GB", 108, 2048}, {"NVIDIA A100-PCIE-40GB", 108, 2048},
      {"NVIDIA H100 80GB HBM3", 132, 4096}, {"NVIDIA H100 PCIe", 114, 4096},
      {"NVIDIA H100 NVL", 132, 4096},       {"NVIDIA H200", 132, 4096},
      {"NVIDIA H200 NVL", 132, 4096},       {"NVIDIA L40S", 142, 1024}};
  const auto all = model::load_hardware(tests::source_path("configs/hardware"));
  for (const auto& [name, sms, flop] : devices) {
    INFO(name);
    const auto* device = model::match(all, name);
    REQUIRE(device != nullptr);
    CHECK(sms * flop * device->peak_sm_clock_mhz * 1e6 == Approx(device->peak_flops_per_s).epsilon(1e-3));
  }
}

TEST_CASE("a program finds the devices that it came with", "[hardware]") {
  if (shipped_configs().empty()) {
    WARN("this test runs from outside the source tree: no configs/hardware above it");
    return;
  }
  CHECK(model::match(model::load_hardware(shipped_configs() / "hardware"), "NVIDIA H100 80GB HBM3") != nullptr);
}

TEST_CASE("an unknown device has no peak", "[hardware]") {
  const auto all = model::load_hardware(tests::source_path("configs/hardware"));
  for (const char* name : {"NVIDIA H100", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "AMD EPYC 9654", ""})
    CHECK(model::match(all, name) == nullptr);
}

TEST_CASE("alternatives, missing peaks and double claims", "[hardware]") {
  const tests::TemporaryFolder folder;
  folder.write("a.toml", "[hardware]\nname = \"A\"\ndevice_names = \"One | Two\"\npeak_flops_per_s = 1e12\n");
  const auto all = model::load_hardware(folder.path());
  REQUIRE(model::match(all, "two") != nullptr);
  folder.write("b.toml", "[hardware]\nname = \"B\"\ndevice_names = \"TWO\"\npeak_flops_per_s = 2e12\n");
  CHECK_THROWS_WITH(model::load_hardware(folder.path()), contains("already belongs to A"));
  folder.write("b.toml", "[hardware]\nname = \"B\"\n");
  CHECK_THROWS_WITH(model::load_hardware(folder.path()), contains("peak_flops_per_s is missing"));
  CHECK_THROWS_AS(model::load_hardware(folder.path() / "nothing"), UserError);
}
