#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "budget/budget.h"
#include "budget/inputs/efficiency.h"
#include "report/report.h"
#include "runlog/gpu_use.h"
#include "runlog/reader.h"
#include "runlog/summary.h"
#include "runlog/writer.h"
#include "scaling/compare/compare.h"
#include "scaling/curve_of_runs.h"
#include "scaling/fit/components.h"
#include "scaling/fit/fit_json.h"
#include "scaling/noise_scale.h"
#include "tests/budget/samples.h"
#include "tests/fuzz/edits.h"
#include "tests/fuzz/harnesses.h"
#include "tests/fuzz/oracle.h"
#include "tests/fuzz/scratch.h"

namespace gpumonth::fuzz {
namespace {

std::string log_image(const std::string& name, runlog::Run run, const runlog::CommSweep& comm = {}) {
  const auto file = scratch_folder() / name;
  run.comm = comm;
  runlog::write(file, run);
  return read_bytes(file);
}

runlog::Run with_power(runlog::Run run) {
  run.info.power_source = "NVML";
  for (auto& step : run.steps) {
    step.energy_j = 30;
    step.power_w = 300;
    step.sm_clock_mhz = 1700;
    step.clock_limit = 1;
    step.temperature_c = 50;
  }
  return run;
}

runlog::Run with_small_gradients(runlog::Run run) {
  run.info.small_batch = 2;
  for (auto& step : run.steps) {
    step.grad_norm = 1 + 0.1 / static_cast<double>(step.step);
    step.small_grad_norm = 2 + 0.01 * static_cast<double>(step.step % 5);
  }
  return run;
}

constexpr int kSteps = 24;

const std::vector<Base>& bases() {
  static const std::vector<Base> all = {
      {"two-ranks", log_image("two-ranks.h5", tests::make_run(0.3, 2, kSteps))},
      {"one-rank", log_image("one-rank.h5", tests::make_run(0.35, 1, kSteps))},
      {"four-ranks", log_image("four-ranks.h5", tests::make_run(0.27, 4, kSteps))},
      {"metered", log_image("metered.h5", with_power(tests::make_run(0.3, 2, kSteps)))},
      {"small-gradients", log_image("small-gradients.h5", with_small_gradients(tests::make_run(0.3, 2, 2 * kSteps)))},
      {"sweep",
       log_image(
           "sweep.h5", tests::make_run(0.3, 2, 0),
           {"all_gather", "all-gather of fp32", {{1024, 10, 1e-4, 9e-5, 2e-4, 1}, {4096, 10, 2e-4, 2e-4, 3e-4, 1}}})}};
  return all;
}

/// The other logs of a set: as the edited one would be, on 1 and 4 ranks.
const runlog::Run& partner(int ranks) {
  static const runlog::Run one = runlog::read((bases(), scratch_folder() / "one-rank.h5")),
                           four = runlog::read(scratch_folder() / "four-ranks.h5");
  return ranks == 1 ? one : four;
}

void check_fit(const std::vector<runlog::Run>& runs, int replicates, const std::string& input) {
  const auto components = std::make_shared<const scaling::Components>(scaling::fit_components(runs, replicates));
  check_text(to_text(*components), input);
  check_json(to_json(*components), input);
  const auto curve = scaling::curve_of_runs(runs);
  scaling::FitOptions options;
  options.components = scaling::step_model(components);
  const auto fit = scaling::fit_curve(curve, options);
  const auto targets = scaling::default_targets(fit);
  check_text(scaling::to_text(fit, targets), input);
  check_json(scaling::to_json(fit, targets), input);
}

void check_comparison(const std::filesystem::path& file, const std::string& input) {
  const auto in_scratch = [](const char* name) { return (scratch_folder() / name).string(); };
  const auto comparison =
      scaling::compare(scaling::read_run_set(file.string() + "," + in_scratch("one-rank.h5")),
                       scaling::read_run_set(in_scratch("two-ranks.h5") + "," + in_scratch("one-rank.h5")));
  check_text(to_text(comparison), input);
  check_json(to_json_text(comparison), input);
}

void check_budget(const std::vector<runlog::Run>& runs, const std::string& input) {
  std::vector<budget::Efficiency> efficiencies;
  for (const auto& run : runs) efficiencies.push_back(budget::efficiency_of(run));
  static const auto scenario = tests::sora();
  budget::BudgetOptions options;
  options.components = budget::components_of(runs, efficiencies);
  const auto budget = budget::make_budget(scenario, efficiencies, options);
  check_text(to_text(budget), input);
  check_json(to_json_text(budget), input);
  if (std::getenv("GPUMONTH_FUZZ_PAGES") != nullptr)
    check_text(report::report_html(runs, &budget), input);  // gnuplot: slow
}

/// As far as the runs go: a refusal by one command does not keep the next from being tried.
template <class F>
void try_to(F&& work) {
  try {
    work();
  } catch (const UserError& error) {
    check_message(error.what());
  }
}

}  // namespace

void run_log(const std::string& input, Effort effort) {
  const auto file = edited_file("edited.h5", bases(), parse_edits(input));
  const runlog::Run run = runlog::read(file);
  check_text(to_text(runlog::summarize(run)), input);
  check_text(to_text(scaling::noise_scale(run)), input);
  const auto efficiency = budget::efficiency_of(run);
  if (efficiency.has_mfu()) {
    check_finite(efficiency.mfu, "MFU");
    check_finite(efficiency.samples_per_s, "throughput");
    if (efficiency.has_interval()) check_finite(efficiency.mfu_low, "lower end of MFU");
    check_finite(efficiency.step_mfu_p95, "MFU of steps");
    check_text(runlog::gpu_text(run), input);
  }
  try_to([&] { static_cast<void>(scaling::measure(std::span(&run, 1), runlog::summarize(run))); });
  try_to([&] { static_cast<void>(scaling::curve_of_runs({run})); });
  if (effort == Effort::quick) return;
  try_to([&] { check_fit({run}, 2, input); });
  try_to([&] { check_fit({run, partner(1), partner(4)}, 2, input); });
  if (effort != Effort::thorough) return;
  try_to([&] { check_fit({partner(1), run}, 200, input); });
  try_to([&] { check_comparison(file, input); });
  try_to([&] { check_budget({run, partner(1)}, input); });
}

std::string mutate_run_log(const std::string& input, std::mt19937& random) {
  return mutate_edits(bases(), input, random);
}

}  // namespace gpumonth::fuzz
