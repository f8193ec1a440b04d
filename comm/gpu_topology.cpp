#include "comm/gpu_topology.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <map>

namespace gpumonth::comm {
namespace {

// The part of nvml.h that is used here, written from NVIDIA's "NVML API Reference Guide"
// (docs.nvidia.com/deploy/ nvml-api): neither building nor starting needs NVML.
using Device = struct NvmlDevice*;      // nvmlDevice_t
using Return = int;                     // nvmlReturn_t
constexpr Return kSuccess = 0;          // NVML_SUCCESS
constexpr unsigned kMostNvlinks = 18;   // NVML_NVLINK_MAX_LINKS
constexpr int kP2pNvlink = 2;           // NVML_P2P_CAPS_INDEX_NVLINK
constexpr int kP2pOk = 0;               // NVML_P2P_STATUS_OK
constexpr unsigned kVersionChars = 80;  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE

class Nvml {
 public:
  explicit Nvml(const std::string& file) : library_(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!library_) return;
    const auto init = find<Return (*)()>("nvmlInit_v2");
    running_ = init && init() == kSuccess;
  }
  ~Nvml() {
    const auto shutdown = running_ ? find<Return (*)()>("nvmlShutdown") : nullptr;
    if (shutdown) shutdown();
    if (library_) dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  bool loaded() const { return library_ != nullptr; }
  bool running() const { return running_; }

  /// Calls `name`; false where the library lacks it or it fails.
  template <class... Arguments>
  bool ask(const char* name, Arguments... arguments) const {
    const auto function = find<Return (*)(Arguments...)>(name);
    return function && function(arguments...) == kSuccess;
  }

 private:
  template <class Function>
  Function find(const char* name) const {
    return reinterpret_cast<Function>(dlsym(library_, name));
  }
  void* library_;
  bool running_ = false;
};

GpuLinks links_of(const Nvml& nvml, Device device) {
  GpuLinks links;
  for (unsigned link = 0; link < kMostNvlinks; ++link) {
    int active = 0;
    if (nvml.ask("nvmlDeviceGetNvLinkState", device, link, &active)) links.nvlinks += active == 1 ? 1 : 0;
  }
  const auto number = [&](const char* name) {
    unsigned value = 0;
    return nvml.ask(name, device, &value) ? static_cast<int>(value) : 0;
  };
  links.pcie_generation = number("nvmlDeviceGetCurrPcieLinkGeneration");
  links.pcie_generation_max = number("nvmlDeviceGetMaxPcieLinkGeneration");
  links.pcie_lanes = number("nvmlDeviceGetCurrPcieLinkWidth");
  links.pcie_lanes_max = number("nvmlDeviceGetMaxPcieLinkWidth");
  return links;
}

/// nvmlGpuTopologyLevel_t in the words of `nvidia-smi topo`.
std::string connection(const Nvml& nvml, Device a, Device b) {
  int status = -1, level = -1;
  if (nvml.ask("nvmlDeviceGetP2PStatus", a, b, kP2pNvlink, &status) && status == kP2pOk) return "NVLink";
  if (!nvml.ask("nvmlDeviceGetTopologyCommonAncestor", a, b, &level)) return "unknown";
  switch (level) {
    case 0:
      return "same board";
    case 10:
      return "one PCIe switch";
    case 20:
      return "several PCIe switches";
    case 30:
      return "PCIe host bridge";
    case 40:
      return "one NUMA node";
    default:
      return "across NUMA nodes";
  }
}

}  // namespace

GpuTopology gpu_topology(const std::vector<std::string>& pci_ids, const std::string& library) {
  GpuTopology found;
  const Nvml nvml(library);
  if (!nvml.running()) {
    found.why_unknown = nvml.loaded() ? library + ": nvmlInit_v2 failed" : library + " is not there";
    return found;
  }
  char version[kVersionChars] = "";
  if (nvml.ask("nvmlSystemGetDriverVersion", static_cast<char*>(version), kVersionChars))
    found.driver = version;
  std::vector<Device> devices;
  for (const std::string& id : pci_ids) {
    Device device = nullptr;
    if (!nvml.ask("nvmlDeviceGetHandleByPciBusId_v2", id.c_str(), &device)) {
      found.why_unknown = fmt::format("NVML does not know the GPU {}", id);
      return found;
    }
    devices.push_back(device);
    found.links.push_back(links_of(nvml, device));
  }
  std::map<std::string, std::string> kinds;
  for (std::size_t a = 0; a < devices.size(); ++a) {
    for (std::size_t b = a + 1; b < devices.size(); ++b)
      kinds[connection(nvml, devices[a], devices[b])] += fmt::format(" {}-{}", a, b);
  }
  for (const auto& [kind, members] : kinds) found.pairs.push_back(kind + ":" + members);
  return found;
}

}  // namespace gpumonth::comm
