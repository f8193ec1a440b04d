// How the GPUs of this host are connected, as the driver's NVML says, which is loaded at run time.
#pragma once

#include <string>
#include <vector>

namespace gpumonth::machine {

struct GpuLinks {
  int nvlinks = 0;              ///< active
  int pcie_generation = 0;      ///< now; 0: unknown. An idle GPU lowers it to save power
  int pcie_generation_max = 0;  ///< of card and slot
  int pcie_lanes = 0, pcie_lanes_max = 0;
};

struct GpuTopology {
  std::string driver;              ///< "580.65.06"; empty where unknown
  std::string why_unknown;         ///< one line where NVML cannot be asked
  std::vector<GpuLinks> links;     ///< by GPU, in the order asked
  std::vector<std::string> pairs;  ///< one line per kind of connection: "NVLink: 0-1 0-2 1-2"
};

/// `pci_ids`: of the GPUs, "0000:1b:00.0".
GpuTopology gpu_topology(const std::vector<std::string>& pci_ids, const std::string& library = "libnvidia-ml.so.1");

}  // namespace gpumonth::machine
