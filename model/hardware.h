// What a device's datasheet says, read from configs/hardware/*.toml, one [hardware] table a file.
#pragma once

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "base/config.h"

namespace gpumonth::model {

struct Hardware {
  std::string from;          ///< a hardware file to start from; keys beside it win
  std::string name;          ///< as people say it: "H100 SXM"
  std::string device_names;  ///< as the driver says it, alternatives between '|': "NVIDIA H100 80GB HBM3"
  double peak_flops_per_s = std::numeric_limits<double>::quiet_NaN();   ///< dense bf16, FLOP/s (1 MAC = 2 FLOP)
  double peak_sm_clock_mhz = std::numeric_limits<double>::quiet_NaN();  ///< at which that peak is reached; NaN: unknown
  double memory_gb = std::numeric_limits<double>::quiet_NaN();          ///< 1e9 bytes
  double memory_bandwidth_bytes_per_s = std::numeric_limits<double>::quiet_NaN();  ///< reads and writes together
  double power_w = std::numeric_limits<double>::quiet_NaN();                       ///< board power limit
  /// What the best published kernels reach at head size 128 and long sequences; NaN: not known, nothing is bounded by
  /// it. Attention's backward in counted work, twice forward's, which recomputes the scores beside it.
  double products_flops_per_s = std::numeric_limits<double>::quiet_NaN();
  double attention_forward_flops_per_s = std::numeric_limits<double>::quiet_NaN();
  double attention_backward_flops_per_s = std::numeric_limits<double>::quiet_NaN();
  std::string kernels_source;  ///< where these rates stand
  std::string source;          ///< where these numbers stand
};

void declare(config::Table& table, Hardware& hardware);

/// Every *.toml in `directory`, in the order of their file names. Throws UserError: not a folder, a bad file,
/// no peak in it, or two files that claim the same device name.
std::vector<Hardware> load_hardware(const std::filesystem::path& directory);

/// The device whose device_names hold exactly `device_name` (upper and lower case are the same); nullptr
/// where none does: an unknown device has no peak, and never gets another one's.
const Hardware* match(const std::vector<Hardware>& hardware, const std::string& device_name);

}  // namespace gpumonth::model
