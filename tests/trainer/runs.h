// Runs of the gpumonth binary as a user starts them, and what they leave behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/command.h"

namespace gpumonth::tests {

/// A run file in `folder`: 8x8 latents, two blocks of width 48, 8 samples a step, 10 steps in fp32 on one
/// thread, several gradient buckets, output in folder/out. `more` is appended as further tables.
std::filesystem::path write_run_file(const TemporaryFolder& folder, const std::string& more = "");

/// folder/latents.h5: `samples` normal latents (N, 4, size, size) and labels 0 .. 9. Every value of the
/// samples `broken` is just below what fp32 can hold.
std::filesystem::path write_latents(const TemporaryFolder& folder, std::int64_t samples, std::int64_t size,
                                    const std::vector<std::int64_t>& broken = {});

/// "gpumonth train FILE --set ...", under mpirun where ranks > 0.
std::string train_command(int ranks, const std::filesystem::path& file, const std::vector<std::string>& overrides);

/// Runs it; the test fails where it does not exit with 0.
CommandResult train(int ranks, const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

/// The losses in a run log; the test fails where it was not closed, or does not hold `count` steps from `first_step`
/// on.
std::vector<double> losses(const std::filesystem::path& log, std::int64_t first_step, std::size_t count);

using Tensors = std::map<std::string, std::vector<float>>;
/// Every dataset of one group, by name.
Tensors read_tensors(const std::filesystem::path& file, const std::string& group);

/// The largest relative L2 distance of a tensor in `a` from that in `b`; infinity where the names differ.
double largest_distance(const Tensors& a, const Tensors& b);
bool same_bits(const Tensors& a, const Tensors& b);
/// /model, /ema and both moments, bit for bit.
bool same_checkpoints(const std::filesystem::path& a, const std::filesystem::path& b);

/// The key's part of qkv.bias has a gradient of exactly zero, whose rounding noise Adam scales to whole
/// steps: it wanders freely. What is compared between different orders of summation leaves it out.
void leave_out_key_biases(Tensors& tensors);

/// Everything in a folder, by name.
std::vector<std::string> names_in(const std::filesystem::path& folder);

/// Checks what a user's mistake must look like: exit code 2, one line on stderr that has every one of
/// `parts`, no run log or checkpoint in `output` (whole or half-written).
void check_refused(const CommandResult& result, const std::vector<std::string>& parts,
                   const std::filesystem::path& output);

}  // namespace gpumonth::tests
