// What becomes of the text of every command: a full disk, a closed pipe, a closed descriptor, and bytes that came
// from a file's name.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/clean_text.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using namespace gpumonth::tests;

namespace {

const std::string kBinary = GPUMONTH_BINARY;
const std::string kConfigs = std::string(GPUMONTH_SOURCE_DIR) + "/configs/";

std::filesystem::path write_curve(const TemporaryFolder& folder, const std::string& name = "curve.csv") {
  return folder.write(name, "ranks,samples_per_s\n1,100\n2,190\n4,360\n8,700\n");
}

void check_one_line(const CommandResult& result, const std::string& reason) {
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains("gpumonth: standard output could not be written (" + reason + ")"));
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
}

/// One call of every command that prints: some print less than a buffer, some more.
std::vector<std::string> commands(const TemporaryFolder& folder) {
  const std::string curve = write_curve(folder).string();
  const std::string scenario = kConfigs + "scenarios/dit-xl-2-256.toml", model = kConfigs + "models/dit-xl-2.toml";
  const std::string tiny =
      fmt::format("{}runs/tiny.toml --set log.measure_gemm_peak=false --set run.steps=2 --set run.directory={}",
                  kConfigs, (folder.path() / "out").string());
  return {"--help",
          "--version",
          "train --help",
          "train --help-config",
          "flops " + model,
          "flops " + model + " --json",
          "fit --csv " + curve,
          "fit --csv " + curve + " --json",
          "budget " + scenario,
          "budget " + scenario + " --json",
          "budget --backtest",
          "doctor --quick",
          "doctor --quick --json",
          "comm --max-bytes 1K --iterations 5",
          "comm --max-bytes 1K --iterations 5 --json",
          "train " + tiny};
}

}  // namespace

TEST_CASE("output: a full disk is exit code 2 and one line, in every command") {
  const TemporaryFolder folder;
  for (const std::string& command : commands(folder)) {
    INFO(command);
    check_one_line(run_command(kBinary + " " + command + " >/dev/full"), "No space left on device");
  }
}

TEST_CASE("output: a pipe that nobody reads is exit code 2 and one line") {
  const TemporaryFolder folder;
  const std::string code = (folder.path() / "code").string();
  // the sleep lets `true` be gone before the first byte
  for (const std::string& command : {"fit --csv " + write_curve(folder).string() + " --json", std::string("--help")}) {
    const auto result = run_command(fmt::format("( sleep 0.2; {} {}; echo $? >{} ) | true", kBinary, command, code));
    int exit_code = -1;
    std::ifstream(code) >> exit_code;
    check_one_line({exit_code, result.out, result.err}, "Broken pipe");
  }
}

TEST_CASE("output: closed descriptors are as good as /dev/null") {
  const TemporaryFolder folder;
  const std::string fit = kBinary + " fit --csv " + write_curve(folder).string();
  for (const char* closed : {">&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"}) {
    const auto csv = folder.path() / "exported.csv";
    std::filesystem::remove(csv);
    const auto result = run_command(fit + " --export-csv " + csv.string() + " " + closed);
    INFO(closed << "\n" << result.err);
    CHECK(result.exit_code == 0);
    CHECK(run_command("head -n 1 " + csv.string()).out.starts_with("ranks,samples_per_s"));
  }
}

TEST_CASE("output: a device named as a file is written into, not replaced") {
  const TemporaryFolder folder;
  const std::string fit = kBinary + " fit --csv " + write_curve(folder).string() + " --export-csv ";
  const auto shown = run_command(fit + "/dev/stderr");
  CHECK(shown.exit_code == 0);
  CHECK(shown.err.starts_with("ranks,samples_per_s"));
  const auto full = run_command(fit + "/dev/full");
  INFO(full.err);
  CHECK(full.exit_code == 2);
  CHECK_THAT(full.err, contains("gpumonth: /dev/full: cannot be written (No space left on device)"));
  CHECK(std::filesystem::is_character_file("/dev/full"));
}

TEST_CASE("output: bytes of a file's name reach neither terminal nor error line as they are") {
  const TemporaryFolder folder;
  const std::string name = "cur\xffve\x1b[31m.csv";
  write_curve(folder, name);
  const std::string quoted = fmt::format("'{}'", (folder.path() / name).string());
  for (const std::string& arguments : {"fit --csv " + quoted, "fit --csv " + quoted + " --json",
                                       "fit --csv " + quoted + "x", "budget --sett=" + quoted}) {
    const auto result = run_command(kBinary + " " + arguments);
    INFO(arguments << "\n" << result.out << result.err);
    CHECK(clean_text(result.out) == result.out);
    CHECK(clean_text(result.err) == result.err);
    CHECK_FALSE((result.out + result.err).empty());
  }
}
