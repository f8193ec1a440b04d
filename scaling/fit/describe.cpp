#include <fmt/format.h>

#include "scaling/fit/fit.h"

namespace gpumonth::scaling {
namespace {

std::string parameters_text(const ShapeWeight& s, bool batch_varies) {
  if (s.growth == Growth::components) return "";
  std::string text = fmt::format("(N-1)/N {:.3g}", s.median[0]);
  if (batch_varies) text += fmt::format(", fixed {:.3g}", s.median[1]);
  if (s.growth != Growth::none) text += fmt::format(", growth {:.3g}", s.median[2]);
  if (s.growth == Growth::usl) text += fmt::format(", kappa {:.3g}", s.median[3]);
  return text;
}

}  // namespace

std::string describe(const Fit& fit) {
  const auto& points = fit.curve().points;
  bool batch_varies = false;
  for (const auto& p : points)
    batch_varies = batch_varies || (p.batch_per_rank != points.front().batch_per_rank && p.batch_per_rank > 0);
  std::string text = fmt::format(
      "Model: rank-seconds per sample = c (1 + (fixed + all_reduce (N-1)/N + growth L(N)) b_ref/b), {} "
      "shapes of L(N),\n"
      "weighted by prior x product of the densities of each next point given those before it (rolling "
      "origin).\n\n"
      "{:<15}{:>7}{:>9}  {:<59}{}\n{:-<125}\n",
      fit.shapes().size(), "shape", "prior", "weight", "posterior medians, as shares of compute", "what grows", "");
  for (const auto& s : fit.shapes())
    text += fmt::format("{:<15}{:>7.2f}{:>9.3f}  {:<59}{}\n", name(s.growth), s.prior, s.weight,
                        parameters_text(s, batch_varies), formula(s.growth));
  const Priors& p = fit.priors();
  text += fmt::format(
      "\nNoise of one measurement {:.2f} %, discrepancy {:.2f} % per doubling of ranks (posterior medians).\n"
      "Priors: growth half-t2, scale {:g} per doubling (Horovod: 90 % at 512 GPUs; Goyal 2017: 90 % from 8 "
      "to 256);\n"
      "fixed and (N-1)/N half-t2, scale {:g} and {:g}; noise log-normal around {:g};\n"
      "discrepancy half-t2, scale {:g} per doubling of ranks; {:g} times that per doubling of the batch,\n"
      "and {:g} times once from {:g} ranks or fewer to more. docs/method.md has the sources.\n",
      100 * fit.noise(), 100 * fit.discrepancy(), p.growth, p.fixed, p.all_reduce, p.noise, p.discrepancy,
      p.batch_discrepancy, p.host_discrepancy, p.ranks_per_host);
  return text;
}

}  // namespace gpumonth::scaling
