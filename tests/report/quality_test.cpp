// quality.json on the page: what is read of it, what is refused, sheets as bytes of the page, names escaped.
#include "report/quality.h"

#include <fstream>

#include "base/error.h"
#include "report/report.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using namespace gpumonth::report;
using tests::contains;
using tests::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

/// Two checkpoints, the second with 32 times the compute, and its samples.
std::string quality_text(const std::string& run = "a", const std::string& more = "") {
  const auto checkpoint = [&](const std::string& name, double flops, double loss) {
    return R"({"checkpoint": ")" + name + R"(", "run": ")" + run +
           R"(", "model": "dit-tiny", "weights": "ema", "step": 100, "parameters": 1000, "samples_seen": 3200,
  "tokens_seen": 204800, "model_flops": )" +
           std::to_string(flops) + R"(, "validation": {"samples": 1000, "loss": )" + std::to_string(loss) +
           R"(, "standard_error": 0.01, "by_noise_level": [
    {"t_from": 0, "t_to": 499, "loss": 0.5, "standard_error": 0.02}, {"t_from": 500, "t_to": 999, "loss": 0.1,
     "standard_error": 0.01}]}, "difference_from_first": {"loss": -0.25, "standard_error": 0.005}})";
  };
  return R"({"checkpoints": [)" + checkpoint("one.h5", 1e12, 0.5) + "," + checkpoint("two.h5", 32e12, 0.25) +
         R"(], "samples": [{"file": "s/samples.h5", "checkpoint": "two.h5", "checkpoint_crc32": "01234567",
  "sampler": "ddim", "steps": 50, "guidance": 1.5, "count": 256, "frechet_distance": 1.25, "frechet_low": 1.1,
  "frechet_high": 1.4, "frechet_floor": 0.1, "labels_read_right": 0.875}])" +
         more + "}";
}

std::string error_of(const std::string& text) {
  const TemporaryFolder folder;
  try {
    read_quality(folder.write("quality.json", text));
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("checkpoints stand side by side, with their sheets in the page", "[report]") {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "s");
  std::ofstream(folder.path() / "s/samples.png", std::ios::binary) << "\x89PNG\r\n\x1a\n"
                                                                   << "rest";
  const Quality quality = read_quality(folder.write("quality.json", quality_text()));
  const std::string section = quality_section(quality);
  // base64 of 89 50 4e 47 0d 0a 1a 0a 72 65 73 74, as python3 -m base64 has it
  CHECK_THAT(section, contains("src=\"data:image/png;base64,iVBORw0KGgpyZXN0\""));
  for (const char* part : {"32 ×", "0.2500 ± 0.0100", "-0.2500 ± 0.0050", "1.25 (1.1 – 1.4)", "87.5 %", "guidance 1.5",
                           "fig-noise-levels", "a, step 100", "1000 held-out samples"}) {
    INFO(part);
    CHECK_THAT(section, contains(part));
  }
}

TEST_CASE("without a sheet, or with another file in its place, the numbers stand alone", "[report]") {
  const TemporaryFolder folder;
  const auto file = folder.write("quality.json", quality_text());
  CHECK_THAT(quality_section(read_quality(file)), !contains("<img") && contains("1.25 (1.1 – 1.4)"));
  fs::create_directories(folder.path() / "s");
  std::ofstream(folder.path() / "s/samples.png") << "<svg>no picture";
  CHECK_THAT(quality_section(read_quality(file)), !contains("<img"));
  const Quality no_label =
      read_quality(folder.write("n.json", replaced(quality_text(), R"(, "labels_read_right": 0.875)", "")));
  CHECK_THAT(quality_section(no_label), contains("n/a"));
  CHECK_THAT(quality_section(read_quality(folder.write("e.json", R"({"checkpoints": [], "samples": []})"))),
             !contains("<table"));
}

TEST_CASE("names are text on the page", "[report]") {
  const TemporaryFolder folder;
  const std::string evil = "<script>alert(1)</script>";
  std::string text =
      replaced(quality_text(evil), "\"two.h5\", \"checkpoint_crc32\"", "\"" + evil + "\", \"checkpoint_crc32\"");
  text = replaced(text, "s/samples.h5", "<img src=x>");
  const std::string section = quality_section(read_quality(folder.write("quality.json", text)));
  CHECK_THAT(section, !contains("<script") && !contains("<img") && contains("&lt;script&gt;"));
}

TEST_CASE("what evaluate did not write is refused in one line", "[report]") {
  CHECK_THAT(error_of("no JSON"), contains("quality.json is no JSON object") && contains("gpumonth evaluate"));
  CHECK_THAT(error_of("[]"), contains("no JSON object"));
  CHECK_THAT(error_of("{}"), contains("'checkpoints' is missing"));
  CHECK_THAT(error_of(R"({"checkpoints": 3, "samples": []})"), contains("'checkpoints' is missing or of another type"));
  CHECK_THAT(error_of(R"({"checkpoints": [3], "samples": []})"), contains("'checkpoint'"));
  CHECK_THAT(error_of(replaced(quality_text(), "\"step\": 100", "\"step\": \"x\"")), contains("'step'"));
  CHECK_THAT(error_of(replaced(quality_text(), "\"step\": 100", "\"step\": 1e300")), contains("'step'"));
  CHECK_THAT(error_of(replaced(quality_text(), "\"validation\": {", "\"validation\": 3, \"x\": {")),
             contains("'validation'"));
  CHECK_THAT(error_of(replaced(quality_text(), "\"frechet_low\"", "\"low\"")), contains("'frechet_low'"));
  CHECK_THROWS_AS(read_quality("/nowhere/quality.json"), UserError);
}
