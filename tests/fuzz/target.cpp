#include "tests/fuzz/target.h"

#include <array>

#include "base/error.h"
#include "tests/fuzz/harnesses.h"
#include "tests/fuzz/oracle.h"

namespace gpumonth::fuzz {
namespace {

constexpr std::array<Target, 6> kTargets{{
    {"run_config", run_config, nullptr},
    {"scenario", scenario, nullptr},
    {"curve_csv", curve_csv, nullptr},
    {"run_log", run_log, mutate_run_log},
    {"checkpoint", checkpoint, mutate_checkpoint},
    {"latents", latents, mutate_latents},
}};

}  // namespace

std::span<const Target> targets() { return kTargets; }

const Target& target(const std::string& name) {
  for (const auto& t : kTargets)
    if (name == t.name) return t;
  throw std::out_of_range("no fuzz target " + name);
}

bool run(const Target& t, const std::string& input, Effort effort) {
  try {
    t.work(input, effort);
    return true;
  } catch (const UserError& error) {
    check_message(error.what());
    return false;
  } catch (const Fault&) {
    throw;
  } catch (const std::exception& error) {
    throw Fault(std::string("an exception that is no UserError: ") + error.what());
  }
}

}  // namespace gpumonth::fuzz
