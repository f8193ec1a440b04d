// Loss against compute for people.
#include <fmt/format.h>

#include <cmath>

#include "base/format.h"
#include "scaling/loss/loss_fit.h"

namespace gpumonth::scaling {
namespace {

std::string three(double value) { return std::isfinite(value) ? fmt::format("{:.3g}", value) : "n/a"; }
std::string four(double value) { return std::isfinite(value) ? fmt::format("{:.4f}", value) : "n/a"; }

template <class Format>
std::string estimate_text(const LossEstimate& e, const Format& format) {
  return std::isfinite(e.low) ? fmt::format("{} ({} .. {})", format(e.value), format(e.low), format(e.high))
                              : format(e.value);
}

std::string runs_text(const LossFit& fit) {
  std::string text =
      fmt::format("{} runs, {} losses\n{:>10} {:>10} {:>10} {:>9} {:>9} {:>9} {:>8}  run\n", fit.data.runs.size(),
                  name(fit.data.kind), "parameters", "tokens", "FLOP", "loss", "+-", "law", "off by");
  for (const auto& run : fit.data.runs) {
    const double law = fit.fitted.law.loss(run.parameters, run.tokens);
    text += fmt::format("{:>10} {:>10} {:>10} {:>9.5f} {:>9.5f} {:>9.5f} {:>+7.2f}%  {}\n", compact(run.parameters),
                        compact(run.tokens), scientific(run.model_flops), run.loss, run.standard_error, law,
                        100 * (run.loss / law - 1), run.name);
  }
  return text;
}

std::string law_text(const LossFit& fit) {
  const auto& law = fit.law;
  std::string text = "\nL(N, D) = E + A / N^a + B / D^b, with 90 % intervals\n";
  text += fmt::format("  E {}\n", estimate_text(law.floor, four));
  text += fmt::format("  A {}   a {}\n", estimate_text(law.n_scale, three), estimate_text(law.n_exponent, three));
  text += fmt::format("  B {}   b {}\n", estimate_text(law.d_scale, three), estimate_text(law.d_exponent, three));
  text += fmt::format(
      "  runs scatter by {:.2f} % about it, {:.2f} % beyond their standard errors; C = {} N^{} D in these runs\n",
      100 * fit.fitted.scatter(), 100 * fit.fitted.between, three(fit.flops.scale), three(fit.flops.exponent));
  return text;
}

std::string budgets_text(const LossFit& fit) {
  std::string text = "\nThe best size of each budget, by a parabola over log N\n";
  for (const auto& b : fit.budgets) {
    text += fmt::format("  {} FLOP, {} sizes: ", scientific(b.budget.model_flops), b.budget.sizes);
    text += b.budget.inside ? fmt::format("N {}, D {}, loss {}\n", estimate_text(b.parameters, compact),
                                          estimate_text(b.tokens, compact), estimate_text(b.loss, four))
                            : std::string("no lowest point among them\n");
  }
  const auto split = [](const char* who, const SplitEstimates& s) {
    return fmt::format("  {}: N = {} C^{}, D = {} C^{}\n", who, three(s.split.n_scale),
                       estimate_text(s.n_exponent, three), three(s.split.d_scale), estimate_text(s.d_exponent, three));
  };
  text += "The best split of a compute C\n" + split("by the law", fit.by_law);
  text += std::isfinite(fit.by_parabolas.split.n_exponent)
              ? split("by the parabolas", fit.by_parabolas)
              : std::string("  by the parabolas: n/a, fewer than two budgets have their lowest point inside\n");
  return text;
}

std::string held_out_text(const HeldOut& held_out) {
  std::string text =
      fmt::format("\nHeld out: {}; forecast by the law of the other {} runs\n{:>10} {:>9} {:>9} {:>21} {:>8}  run\n",
                  held_out.what, held_out.law_of, "FLOP", "loss", "forecast", "90 % interval", "error");
  for (const auto& row : held_out.runs)
    text +=
        fmt::format("{:>10} {:>9.5f} {:>9.5f} {:>21} {:>+7.2f}%  {}{}\n", scientific(row.run.model_flops), row.run.loss,
                    row.forecast.value, fmt::format("{:.5f} .. {:.5f}", row.forecast.low, row.forecast.high),
                    100 * row.error, row.run.name, row.inside ? "" : "  (outside)");
  return text;
}

}  // namespace

std::string to_text(const LossFit& fit) {
  std::string text = runs_text(fit) + law_text(fit) + budgets_text(fit);
  for (const auto& held_out : fit.held_out) text += held_out_text(held_out);
  text += "\n";
  for (const auto& note : fit.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace gpumonth::scaling
