// Every input of tests/fuzz/corpus/ once more: what the fuzzers found stays mended.
#include <chrono>
#include <filesystem>

#include "tests/catch.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

using namespace gpumonth;
namespace fs = std::filesystem;

namespace {

constexpr double kHang_s = 5;

void replay(const fuzz::Target& target, const fs::path& file) {
  INFO("tests/fuzz/corpus/" << target.name << "/" << file.filename().string());
  const auto start = std::chrono::steady_clock::now();
  std::string fault;
  try {
    fuzz::run(target, fuzz::read_bytes(file), fuzz::Effort::thorough);
  } catch (const fuzz::Fault& f) {
    fault = f.what();
  }
  CHECK(fault == "");
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < kHang_s);
}

}  // namespace

TEST_CASE("the fuzzers' corpus") {
  for (const auto& target : fuzz::targets()) {
    int inputs = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(GPUMONTH_SOURCE_DIR) / "tests/fuzz/corpus" / target.name)) {
      replay(target, entry.path());
      ++inputs;
    }
    CHECK(inputs > 0);
  }
}

TEST_CASE("the fuzzers' valid files are taken, and a planted fault is seen") {
  for (const char* name : {"run_log", "checkpoint", "latents"}) CHECK(fuzz::run(fuzz::target(name), "", fuzz::Effort::thorough));
  CHECK_FALSE(fuzz::run(fuzz::target("run_log"), "truncate 300\n", fuzz::Effort::quick));
  const fuzz::Target planted{"planted", [](const std::string&, fuzz::Effort) { throw std::bad_alloc(); }, nullptr};
  CHECK_THROWS_AS(fuzz::run(planted, "", fuzz::Effort::quick), fuzz::Fault);
}
