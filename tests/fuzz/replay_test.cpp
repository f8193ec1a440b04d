// Every input of tests/fuzz/corpus/ once more: what the fuzzers found stays mended. What is not mended yet stands in
// corpus/open.txt, and fails here as soon as it is.
#include <chrono>
#include <filesystem>
#include <set>
#include <sstream>

#include "tests/catch.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

using namespace gpumonth;
namespace fs = std::filesystem;

namespace {

constexpr double kHang_s = 5;

fs::path corpus() { return fs::path(GPUMONTH_SOURCE_DIR) / "tests/fuzz/corpus"; }

/// "latents/virtual", a line each; what is wrong follows behind a space.
std::set<std::string> open_faults() {
  std::set<std::string> names;
  std::istringstream lines(fuzz::read_bytes(corpus() / "open.txt"));
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line[0] != '#') names.insert(line.substr(0, line.find(' ')));
  return names;
}

/// What is wrong; empty where nothing is.
std::string replay(const fuzz::Target& target, const fs::path& file) {
  const auto start = std::chrono::steady_clock::now();
  try {
    fuzz::run(target, fuzz::read_bytes(file), fuzz::Effort::thorough);
  } catch (const fuzz::Fault& fault) {
    return fault.what();
  }
  const double took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return took_s < kHang_s ? "" : "it takes too long";
}

}  // namespace

TEST_CASE("the fuzzers' corpus") {
  const auto open = open_faults();
  std::size_t still_open = 0;
  for (const auto& target : fuzz::targets()) {
    int inputs = 0;
    for (const auto& entry : fs::directory_iterator(corpus() / target.name)) {
      const std::string name = std::string(target.name) + "/" + entry.path().filename().string();
      CAPTURE(name);
      ++inputs;
      const std::string fault = replay(target, entry.path());
      if (open.contains(name)) {
        ++still_open;
        CHECK(fault != "");  // mended: take it out of open.txt
      } else {
        CHECK(fault == "");
      }
    }
    CHECK(inputs > 0);
  }
  CHECK(still_open == open.size());  // each names an input
}

TEST_CASE("the fuzzers' valid files are taken, and a planted fault is seen") {
  for (const char* name : {"run_log", "checkpoint", "latents"})
    CHECK(fuzz::run(fuzz::target(name), "", fuzz::Effort::quick));
  CHECK_FALSE(fuzz::run(fuzz::target("run_log"), "truncate 300\n", fuzz::Effort::quick));
  const fuzz::Target planted{"planted", [](const std::string&, fuzz::Effort) { throw std::bad_alloc(); }, nullptr};
  CHECK_THROWS_AS(fuzz::run(planted, "", fuzz::Effort::quick), fuzz::Fault);
}
