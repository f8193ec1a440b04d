// A build without libpng says what to install, or how to do without.
#include <fmt/format.h>

#include <filesystem>

#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

std::string sample(const tests::TemporaryFolder& folder, const std::string& more) {
  return fmt::format(
      "{} sample {}/tests/golden/image/checkpoint.h5 --weights model --backend cpu --count 1 --steps 2 -o {} {}",
      GPUMONTH_BINARY, GPUMONTH_SOURCE_DIR, (folder.path() / "out").string(), more);
}

TEST_CASE("sample without libpng") {
  const tests::TemporaryFolder folder;
  const auto refused = tests::run_command(sample(folder, ""));
  CHECK(refused.exit_code == 2);
  for (const char* part : {"built without libpng", "libpng-dev", "GPUMONTH_PNG=ON", "--no-sheet"})
    CHECK_THAT(refused.err, contains(part));
  CHECK(refused.err.find('\n') == refused.err.size() - 1);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "out"));
  const auto without = tests::run_command(sample(folder, "--no-sheet"));
  CAPTURE(without.err);
  CHECK(without.exit_code == 0);
  CHECK(std::filesystem::exists(folder.path() / "out/samples.h5"));
}

}  // namespace
