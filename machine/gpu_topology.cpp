#include "machine/gpu_topology.h"

#include <fmt/format.h>

#include <map>

#include "machine/nvml.h"

namespace gpumonth::machine {
namespace {

using nvml::Device;
constexpr unsigned kMostNvlinks = 18;  // NVML_NVLINK_MAX_LINKS
constexpr int kP2pNvlink = 2;          // NVML_P2P_CAPS_INDEX_NVLINK
constexpr int kP2pOk = 0;              // NVML_P2P_STATUS_OK

GpuLinks links_of(const nvml::Library& driver, Device device) {
  GpuLinks links;
  for (unsigned link = 0; link < kMostNvlinks; ++link) {
    int active = 0;
    if (driver.ask("nvmlDeviceGetNvLinkState", device, link, &active)) links.nvlinks += active == 1 ? 1 : 0;
  }
  const auto number = [&](const char* name) {
    unsigned value = 0;
    return driver.ask(name, device, &value) ? static_cast<int>(value) : 0;
  };
  links.pcie_generation = number("nvmlDeviceGetCurrPcieLinkGeneration");
  links.pcie_generation_max = number("nvmlDeviceGetMaxPcieLinkGeneration");
  links.pcie_lanes = number("nvmlDeviceGetCurrPcieLinkWidth");
  links.pcie_lanes_max = number("nvmlDeviceGetMaxPcieLinkWidth");
  return links;
}

/// nvmlGpuTopologyLevel_t in the words of `nvidia-smi topo`.
std::string connection(const nvml::Library& driver, Device a, Device b) {
  int status = -1, level = -1;
  if (driver.ask("nvmlDeviceGetP2PStatus", a, b, kP2pNvlink, &status) && status == kP2pOk) return "NVLink";
  if (!driver.ask("nvmlDeviceGetTopologyCommonAncestor", a, b, &level)) return "unknown";
  switch (level) {
    case 0: return "same board";
    case 10: return "one PCIe switch";
    case 20: return "several PCIe switches";
    case 30: return "PCIe host bridge";
    case 40: return "one NUMA node";
    default: return "across NUMA nodes";
  }
}

}  // namespace

GpuTopology gpu_topology(const std::vector<std::string>& pci_ids, const std::string& library) {
  GpuTopology found;
  const nvml::Library driver(library);
  if (!driver.running()) {
    found.why_unknown = driver.loaded() ? library + ": nvmlInit_v2 failed" : library + " is not there";
    return found;
  }
  char version[nvml::kVersionChars] = "";
  if (driver.ask("nvmlSystemGetDriverVersion", static_cast<char*>(version), nvml::kVersionChars))
    found.driver = version;
  std::vector<Device> devices;
  for (const std::string& id : pci_ids) {
    Device device = nullptr;
    if (!driver.ask("nvmlDeviceGetHandleByPciBusId_v2", id.c_str(), &device)) {
      found.why_unknown = fmt::format("NVML does not know the GPU {}", id);
      return found;
    }
    devices.push_back(device);
    found.links.push_back(links_of(driver, device));
  }
  std::map<std::string, std::string> kinds;
  for (std::size_t a = 0; a < devices.size(); ++a) {
    for (std::size_t b = a + 1; b < devices.size(); ++b)
      kinds[connection(driver, devices[a], devices[b])] += fmt::format(" {}-{}", a, b);
  }
  for (const auto& [kind, members] : kinds) found.pairs.push_back(kind + ":" + members);
  return found;
}

}  // namespace gpumonth::machine
