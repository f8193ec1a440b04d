#include "budget/bills.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/normal.h"
#include "base/shipped.h"
#include "budget/formulas/quantities.h"
#include "budget/plan/goodput.h"

namespace gpumonth::budget {
namespace {

namespace fs = std::filesystem;

/// Share of the time that goes forward on the recipe's GPUs, all inputs at their medians.
double median_goodput(const Scenario& s) {
  if (!s.has_all({"goodput.failure_rate", "goodput.checkpoint", "goodput.restart", "cost.gpus"})) return 1;
  const auto median = [&](const char* key) {
    return Column(Column::Constant(1, s.inputs.at(key).distribution.quantile(0.5)));
  };
  const Column write = median("goodput.checkpoint"), restart = median("goodput.restart");
  const Column mtbf = mean_time_between_failures_s(median("goodput.failure_rate"), s.at("cost.gpus").low);
  const Column forward = forward_share(daly_interval_s(write, mtbf), write, restart, mtbf);
  return forward[0] * (s.has("goodput.other_stops") ? 1 - median("goodput.other_stops")[0] : 1);
}

std::vector<fs::path> shipped_recipe_files() {
  std::vector<fs::path> files;
  const fs::path published = shipped_configs() / "published";
  if (!fs::is_directory(published)) return files;
  for (const auto& folder : fs::directory_iterator(published)) {
    if (!folder.is_directory() || !folder.path().filename().string().starts_with("recipes")) continue;
    for (const auto& file : fs::directory_iterator(folder.path()))
      if (file.path().extension() == ".toml") files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::optional<Bill> bill_of(const Scenario& s) {
  if (s.utilisation_class.empty() || !s.has("disclosed.gpu_hours")) return std::nullopt;
  if (s.family.empty())
    user_error(
        "{}: disclosed.family is missing: say whose training it is, as family = \"llama\", so that no bill of theirs "
        "predicts it",
        s.path);
  if (s.bill == "estimate") return std::nullopt;
  const Number flop = compute(Inputs<Number>(s));
  if (!flop.known() || !(flop.low > 0)) user_error("{}: has no FLOPs to count: give training.samples", s.path);
  const double seconds = 3600 * s.at("disclosed.gpu_hours").low * (s.bill == "steps" ? 1 : median_goodput(s));
  const double u = std::sqrt(flop.low * flop.high) / (s.at("hardware.peak_flops_per_s").low * seconds);
  if (!(u < 1))
    user_error("{}: its FLOPs are {:.3g} times what its GPUs can do in disclosed.gpu_hours: check both", s.path, u);
  // low and high are 5 % and 95 %; d logit = d log u / (1 - u)
  const double spread = std::log(flop.high / flop.low) / (2 * kZ95) / (1 - u);
  return Bill{s.path, s.family, s.utilisation_class, std::log(u / (1 - u)), spread * spread};
}

std::vector<Bill> shipped_bills() {
  std::vector<Bill> bills;
  for (const auto& file : shipped_recipe_files())
    if (auto bill = bill_of(load_scenario(file))) bills.push_back(std::move(*bill));
  if (bills.empty())
    user_error(
        "configs/published/recipes was not found beside the program, and with it no bills to learn a class of "
        "utilisation from: run it where it was built or installed");
  return bills;
}

}  // namespace gpumonth::budget
