// What a fuzzer feeds: one kind of input each, read and worked on by the functions that the commands call.
//
// An execution ends in one of two ways. UserError is right where it says something. Success is right where
// everything that was said and kept is finite. Anything else - another exception, a nan in a page, a crash, a
// sanitizer's report, more than 5 s - is a fault of the program.
#pragma once

#include <random>
#include <span>
#include <stdexcept>
#include <string>

namespace gpumonth::fuzz {

/// What an execution must not do; the text says what it did.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// How much of the program sees an input: most of them only what takes well under a millisecond.
enum class Effort {
  quick,     ///< reading, checking, sums
  fitted,    ///< small fits too: tens of milliseconds
  thorough,  ///< everything at full size: up to seconds
};

struct Target {
  const char* name;  ///< of the target and of its folder in corpus/
  /// One execution. UserError: the input was refused.
  void (*work)(const std::string& input, Effort effort);
  /// A neighbour of `input`; null: bytes are changed.
  std::string (*mutate)(const std::string& input, std::mt19937& random);
};

std::span<const Target> targets();
const Target& target(const std::string& name);  ///< std::out_of_range

/// Runs it and judges how it ended. Throws Fault. True: the input was taken, false: refused.
bool run(const Target& target, const std::string& input, Effort effort);

}  // namespace gpumonth::fuzz
