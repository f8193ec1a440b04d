#include "model/hardware.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"

namespace gpumonth::model {
namespace {

/// Lower case, without blanks at the ends.
std::string normal(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  std::string out = text.substr(first, text.find_last_not_of(" \t") - first + 1);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::vector<std::string> names_of(const Hardware& hardware) {
  std::vector<std::string> names;
  std::size_t begin = 0;
  while (begin <= hardware.device_names.size()) {
    const std::size_t end = std::min(hardware.device_names.find('|', begin), hardware.device_names.size());
    const std::string name = normal(hardware.device_names.substr(begin, end - begin));
    if (!name.empty()) names.push_back(name);
    begin = end + 1;
  }
  return names;
}

std::vector<std::filesystem::path> toml_files(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error))
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  if (error) user_error("{}: cannot list this folder of hardware files ({})", directory.string(), error.message());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

void declare(config::Table& table, Hardware& hardware) {
  table.field("from", hardware.from, {.help = "hardware file to start from"});
  table.field("name", hardware.name, {.help = "what people call it"});
  table.field("device_names", hardware.device_names, {.help = "what the driver calls it; alternatives between '|'"});
  table.field("peak_flops_per_s", hardware.peak_flops_per_s,
              {.unit = "FLOP/s",
               .min = 1e12,  // one CPU socket; below a GPU of any year that has bf16
               .max = 2e17,  // a wafer-scale chip has 1.25e17
               .help = "dense bf16 peak, no sparsity",
               .slips = {1e12, 1e3, 1e-3, 1e15}});
  table.field("peak_sm_clock_mhz", hardware.peak_sm_clock_mhz,
              {.unit = "MHz",
               .min = 100,
               .max = 1e4,
               .help = "clock at which the peak is reached",
               .slips = {1e-6, 1e3, 1e-3}});
  table.field("memory_gb", hardware.memory_gb,
              {.unit = "GB", .min = 1, .max = 5000, .help = "device memory, 1e9 bytes", .slips = {1e-9, 1e-3, 1e3}});
  table.field("memory_bandwidth_bytes_per_s", hardware.memory_bandwidth_bytes_per_s,
              {.unit = "B/s",
               .min = 5e10,
               .max = 1e17,
               .help = "device memory, reads and writes together",
               .slips = {1e9, 1e12, 1e3, 1e-3}});
  table.field("power_w", hardware.power_w,
              {.unit = "W", .min = 20, .max = 5e4, .help = "board power limit", .slips = {1e3, 1e-3}});
  const auto rate = [&table](const char* key, double& value, const char* help) {
    table.field(key, value,
                {.unit = "FLOP/s", .min = 1e12, .max = 2e17, .help = help, .slips = {1e12, 1e3, 1e-3, 1e15}});
  };
  rate("products_flops_per_s", hardware.products_flops_per_s, "large bf16 matrix products, best published kernels");
  rate("attention_forward_flops_per_s", hardware.attention_forward_flops_per_s, "attention forward, best published");
  rate("attention_backward_flops_per_s", hardware.attention_backward_flops_per_s,
       "attention backward, best published, of work counted as twice forward");
  table.field("kernels_source", hardware.kernels_source, {.help = "where the rates of kernels stand"});
  table.field("source", hardware.source, {.help = "where these numbers stand"});
}

std::vector<Hardware> load_hardware(const std::filesystem::path& directory) {
  std::vector<Hardware> all;
  for (const auto& file : toml_files(directory)) {
    Hardware hardware;
    config::Table root;
    declare(root.table("hardware"), hardware);
    config::load(root, file);
    if (!std::isfinite(hardware.peak_flops_per_s))
      user_error("{}: hardware.peak_flops_per_s is missing: give the dense bf16 peak in FLOP/s", file.string());
    for (const auto& name : names_of(hardware))
      if (const Hardware* other = match(all, name))
        user_error("{}: device name '{}' already belongs to {}", file.string(), name, other->name);
    all.push_back(std::move(hardware));
  }
  return all;
}

const Hardware* match(const std::vector<Hardware>& hardware, const std::string& device_name) {
  const std::string wanted = normal(device_name);
  for (const auto& candidate : hardware) {
    const auto names = names_of(candidate);
    if (std::find(names.begin(), names.end(), wanted) != names.end()) return &candidate;
  }
  return nullptr;
}

}  // namespace gpumonth::model
