#include "machine/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace gpumonth::machine {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(folder, error)) all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

/// Mbit/s; virtual cards say nothing or -1.
std::string speed_text(const std::string& mbit_per_s) {
  const double speed = std::atof(mbit_per_s.c_str());
  return speed > 0 ? fmt::format(" {:g} Gbit/s", speed / 1000) : "";
}

}  // namespace

std::vector<std::string> network_cards(const std::string& sys) {
  std::vector<std::string> cards;
  for (const fs::path& device : entries(fs::path(sys) / "class/infiniband")) {
    for (const fs::path& port : entries(device / "ports")) {
      if (first_line(port / "state").find("ACTIVE") == std::string::npos) continue;
      cards.push_back(fmt::format("{} {} {}", device.filename().string(), first_line(port / "link_layer"),
                                  first_line(port / "rate")));
    }
  }
  for (const fs::path& card : entries(fs::path(sys) / "class/net")) {
    const std::string name = card.filename().string(), state = first_line(card / "operstate");
    if (name == "lo" || (state != "up" && state != "unknown")) continue;
    cards.push_back(name + speed_text(first_line(card / "speed")));
  }
  return cards;
}

}  // namespace gpumonth::machine
