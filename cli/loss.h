// `gpumonth fit --loss`: loss against compute instead of speed against ranks.
#pragma once

#include <string>
#include <vector>

namespace gpumonth::cli {

/// Prints the law of losses through run logs or one quality.json. `hold_out`: what is forecast from the rest, with commas
/// between; empty: nothing.
void print_loss_fit(const std::vector<std::string>& files, const std::string& hold_out, bool average_seeds, bool json);

}  // namespace gpumonth::cli
