// The targets' functions: see target.h.
#pragma once

#include <random>
#include <string>

#include "tests/fuzz/target.h"

namespace gpumonth::fuzz {

/// TOML of a run, then a line "--set", then an override a line. Read as `train` on two ranks does; counted as `flops`.
void run_config(const std::string& input, Effort effort);
/// TOML of a scenario beside the shipped hardware, models and curves, then likewise. As `budget` does.
void scenario(const std::string& input, Effort effort);
/// CSV of scaling curves. As `fit --csv`, `fit --validate` and `compare` do.
void curve_csv(const std::string& input, Effort effort);

// Edits (edits.h) of a small valid file.
/// As `fit`, `compare`, `budget --runs` and `report` do.
void run_log(const std::string& input, Effort effort);
std::string mutate_run_log(const std::string& input, std::mt19937& random);
/// As `train --set run.resume=` and `probe` do.
void checkpoint(const std::string& input, Effort effort);
std::string mutate_checkpoint(const std::string& input, std::mt19937& random);
/// As `train --set data.path=` does.
void latents(const std::string& input, Effort effort);
std::string mutate_latents(const std::string& input, std::mt19937& random);

}  // namespace gpumonth::fuzz
