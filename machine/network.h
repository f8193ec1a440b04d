// The network cards of this host, as Linux lists them under /sys.
#pragma once

#include <string>
#include <vector>

namespace gpumonth::machine {

/// "eth0 25 Gbit/s", "mlx5_0 InfiniBand 400 Gb/sec (4X NDR)"; only what is up. Speed where the driver tells it.
std::vector<std::string> network_cards(const std::string& sys = "/sys");

}  // namespace gpumonth::machine
