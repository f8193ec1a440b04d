// Rung 6: machines fail. Work since the last checkpoint is lost, and restarting takes time; checkpoints that
// would save work cost time themselves. Daly's interval makes the best of it (budget/plan/goodput.h).
#include <fmt/format.h>

#include "base/format.h"
#include "budget/ladder/ladder.h"

namespace gpumonth::budget {
namespace {

Number provenance(const Scenario& s) {
  Number from = s.at("goodput.failure_rate") * s.at("goodput.checkpoint") * s.at("goodput.restart");
  return s.has("goodput.other_stops") ? from * s.at("goodput.other_stops") : from;
}

std::string what_stands_now(const Scenario& s, const TrainingPlan& training) {
  const Outcome& out = training.outcome;
  const auto text_of = [](const Column& column, std::string (*format)(double)) {
    return range_text(drawn(column, {}, "", ""), format);
  };
  std::string text = "no failure, and so no checkpoint";
  if (!out.mtbf_s.isInf().all())
    text = fmt::format(
        "one failure in {} h on {} GPUs ({} per GPU-hour); a checkpoint of {} s every {} min (Daly), restart "
        "in {} min",
        text_of(out.mtbf_s / 3600, compact), grouped(static_cast<double>(training.gpus)),
        range_text(s.at("goodput.failure_rate"), scientific), range_text(s.at("goodput.checkpoint"), compact),
        text_of(out.interval_s / 60, compact), range_text(s.at("goodput.restart") / exactly(60), compact));
  if (s.has("goodput.other_stops"))
    text += fmt::format(", {} other stops", range_text(s.at("goodput.other_stops"), percent));
  return text + fmt::format(": {} of the time goes forward", text_of(out.goodput, percent));
}

/// The product of failures and other stops must give what runs of this size have published. On fewer GPUs it should be
/// better than theirs, on more it may be worse.
void note_published_time(const LadderContext& context, const TrainingPlan& training) {
  const Scenario& s = context.scenario;
  if (!s.has_all({"goodput.effective_time", "goodput.effective_time_gpus"})) return;
  const Number published = s.at("goodput.effective_time"), gpus = s.at("goodput.effective_time_gpus");
  const Spread time = spread_of(training.outcome.goodput);
  const auto n = static_cast<double>(training.gpus);
  const bool too_little = time.median < published.low && n <= gpus.high;
  const bool too_much = time.median > published.high && n >= gpus.low && n <= gpus.high;
  if (!too_little && !too_much) return;
  context.notes.push_back(fmt::format(
      "goodput: effective training time {} .. {}, median {}; published runs on {} GPUs had {}. The median lies {}: their "
      "machines fail {}, or restart {}, than goodput.failure_rate and restart say",
      percent(time.low), percent(time.high), percent(time.median), range_text(gpus, grouped),
      range_text(published, percent), too_little ? "below" : "above", too_little ? "less often" : "more often",
      too_little ? "sooner" : "later"));
}

}  // namespace

std::optional<Rung> goodput(const LadderContext& context, const Rung* before) {
  if (before == nullptr || context.training == nullptr) return std::nullopt;
  const Scenario& s = context.scenario;
  const TrainingPlan& training = *context.training;
  if (!training.simulation.has_goodput()) {
    context.notes.push_back(
        "goodput: left out, the scenario has no goodput.failure_rate, checkpoint and restart: add [goodput] "
        "from = "
        "\"../published/goodput.toml\"");
    return std::nullopt;
  }
  const Outcome& out = training.outcome;
  const Number from = provenance(s);
  const Column before_months = training.simulation.has_scaling() ? out.scaling_months : out.measured_months;
  note_published_time(context, training);
  Rung rung{.id = RungId::goodput};
  rung.replaces = "the cluster never stops";
  rung.replacement = what_stands_now(s, training);
  rung.inputs = from.inputs;
  rung.compute = before->compute;
  const Column used = training.simulation.has_scaling() ? Column(out.utilisation * out.efficiency) : out.utilisation;
  rung.utilisation = drawn(used * out.goodput, before->utilisation * from, "1", "utilisation x goodput");
  rung.gpu_months = drawn(out.goodput_months, before->gpu_months * from, "GPU-month",
                          "GPU-months of the rung before / goodput, 5 % .. 95 % of the draws");
  rung.draws = spread_of(out.goodput_months);
  rung.factor = drawn(out.goodput_months / before_months, from, "1", "draw by draw");
  return rung;
}

}  // namespace gpumonth::budget
