// One target under libFuzzer. GPUMONTH_FUZZ_FAULTS=FOLDER: an oracle's complaint is kept there, once for each kind, and
// fuzzing goes on; without it the first one ends the program, as a crash does.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <set>

#include "tests/fuzz/target.h"

using namespace gpumonth::fuzz;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

const Target& the_target() {
  static const Target& t = target(GPUMONTH_FUZZ_TARGET);
  return t;
}

/// The same for the same input, so that what is found is found again.
Effort effort_for(const std::string& input) {
  const std::size_t lot = std::hash<std::string>()(input);
  return lot % 16384 == 0 ? Effort::thorough : lot % 512 == 0 ? Effort::fitted : Effort::quick;
}

/// libFuzzer's own limit is on the wall clock, which other programs of the machine slow down: it is for real hangs.
constexpr double kHang_s = 5;

std::string kind_of(std::string message) {  // the same fault has other numbers and names each time
  std::erase_if(message, [](char c) { return c >= '0' && c <= '9'; });
  return message.substr(0, 60);
}

void keep(const std::string& message, const std::string& input) {
  static std::set<std::string> known;
  if (!known.insert(kind_of(message)).second) return;
  fmt::print(stderr, "FAULT {}\n", message);
  const std::string name = fmt::format("{}/{}-{:016x}", std::getenv("GPUMONTH_FUZZ_FAULTS"), GPUMONTH_FUZZ_TARGET,
                                       std::hash<std::string>()(kind_of(message)));
  std::ofstream(name, std::ios::binary).write(input.data(), static_cast<std::streamsize>(input.size()));
  std::ofstream(name + ".txt") << message << "\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::clock_t begin = std::clock();
  try {
    run(the_target(), input, effort_for(input));
    const double took_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    if (took_s > kHang_s) throw Fault(fmt::format("takes {:.1f} s of processor time", took_s));
  } catch (const Fault& fault) {
    if (std::getenv("GPUMONTH_FUZZ_FAULTS") == nullptr) {
      fmt::print(stderr, "FAULT {}\n", fault.what());
      std::abort();
    }
    keep(fault.what(), input);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  std::mt19937 random(seed);
  if (the_target().mutate == nullptr || random() % 16 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string output = the_target().mutate(std::string(reinterpret_cast<const char*>(data), size), random);
  const std::size_t length = std::min(output.size(), max_size);
  output.copy(reinterpret_cast<char*>(data), length);
  return length;
}
