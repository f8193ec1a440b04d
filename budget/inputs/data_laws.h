// What scaling laws, published ones or those of one's own runs, call the right number of tokens for a Diffusion Transformer
// of N parameters. A law is read as it is printed, the compute-optimal model and data of a compute C:
//   N = n_scale x C^n_exponent,  D = d_scale x C^d_exponent   ->   D(N) = d_scale x (N / n_scale)^(d_exponent / n_exponent)
// with N, D and C in the units of the publication. docs/method.md, "data".
#pragma once

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace gpumonth::budget {

struct DataLaw {
  static constexpr double kNotGiven = std::numeric_limits<double>::quiet_NaN();

  std::string id, name, tag, source;
  double n_scale = kNotGiven, n_exponent = kNotGiven;
  double d_scale = kNotGiven, d_exponent = kNotGiven;
  double n_unit = 1;  ///< parameters in the publication's unit of N: 1e9 where it counts billions
  double d_unit = 1;  ///< tokens in its unit of D
  double c_unit = 1;  ///< FLOP in its unit of C

  double optimal_flop(double parameters) const;    ///< C of which a model of so many parameters is the optimal one
  double optimal_tokens(double parameters) const;  ///< D of that C
};

/// The [[laws]] of a TOML file, or the laws[] of the JSON that `gpumonth fit --loss --json` writes, which have the same keys
/// and the tag "fitted". Throws UserError: no law, one without n_scale, n_exponent, d_scale or d_exponent, or without a
/// source.
std::vector<DataLaw> load_data_laws(const std::filesystem::path& file);

}  // namespace gpumonth::budget
