#include "cli/loss.h"

#include "base/json.h"
#include "base/number_text.h"
#include "base/standard_output.h"
#include "scaling/loss/loss_fit.h"

namespace gpumonth::cli {

void print_loss_fit(const std::vector<std::string>& files, const std::string& hold_out, bool average_seeds, bool json) {
  scaling::LossFitOptions options;
  if (!hold_out.empty())
    for (const auto which : split_list(hold_out, "--hold-out")) options.hold_out.emplace_back(which);
  auto runs = scaling::read_loss_runs(files);
  if (average_seeds) runs = scaling::average_seeds(runs);
  const auto fit = scaling::fit_loss(runs, options);
  print("{}", json ? gpumonth::to_text(scaling::to_json(fit)) : scaling::to_text(fit));
}

}  // namespace gpumonth::cli
