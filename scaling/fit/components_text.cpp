#include <fmt/format.h>

#include "scaling/fit/components.h"

namespace gpumonth::scaling {

std::string to_text(const Components& c) {
  if (!c.why_unusable.empty()) return "";
  std::string text = fmt::format(
      "Where a step goes (means of steady steps, "
      "ms)\n{:>6}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}\n{:-<90}\n",
      "ranks", "batch/rank", "step", "data", "compute", "exposed", "optimizer", "other", "modelled", "");
  for (const auto& r : c.runs)
    text += fmt::format("{:>6}{:>12g}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.2f}{:>12.2f}\n", r.ranks,
                        r.batch_per_rank, 1e3 * r.step_s, 1e3 * r.data_s, 1e3 * r.compute_s, 1e3 * r.exposed_s,
                        1e3 * r.optimizer_s, 1e3 * r.other_s, 1e3 * r.modelled_step_s);
  text += fmt::format("\nComponents, with 90 % bootstrap intervals\n{:-<90}\n", "");
  for (const auto& p : c.parameters)
    text += fmt::format("{:<44}{:>12.4g} {:<4}  {:.4g} .. {:.4g}\n", p.name, p.value, p.unit == "1" ? "" : p.unit,
                        p.low, p.high);
  return text;
}

Json to_json(const Components& c) {
  Json json;
  json["parameters"] = Json::array();
  for (const auto& p : c.parameters)
    json["parameters"].push_back(
        {{"name", p.name}, {"unit", p.unit}, {"value", p.value}, {"low", p.low}, {"high", p.high}});
  json["runs"] = Json::array();
  for (const auto& r : c.runs)
    json["runs"].push_back({{"run", r.run},
                            {"ranks", r.ranks},
                            {"batch_per_rank", r.batch_per_rank},
                            {"step_s", r.step_s},
                            {"data_s", r.data_s},
                            {"compute_s", r.compute_s},
                            {"exposed_comm_s", r.exposed_s},
                            {"optimizer_s", r.optimizer_s},
                            {"other_s", r.other_s},
                            {"modelled_step_s", r.modelled_step_s}});
  return json;
}

}  // namespace gpumonth::scaling
