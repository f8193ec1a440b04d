// compare as a user runs it.
#include "tests/command.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/hdf5.h"
#include "runlog/writer.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using tests::contains;
using tests::run_command;

namespace {

namespace fs = std::filesystem;
const std::string kCompare = std::string(GPUMONTH_BINARY) + " compare ";

/// As jobs/sweep.sh leaves it: FOLDER/weak-b8-nN-rK/run.h5.
void write_run(const fs::path& file, int ranks, double step_s, const std::string& model = "dit-s-2", int steps = 43) {
  fs::create_directories(file.parent_path());
  auto run = tests::make_run(0.4, ranks, steps);
  run.info.model_name = model;
  runlog::Writer writer(file, run.info);
  for (auto& step : run.steps) {
    step.step_time_s *= step_s / 0.1;
    step.samples = 8 * ranks;
    step.tokens = 256 * step.samples;
    writer.step(step);
  }
  std::vector<float> busy_s(static_cast<std::size_t>(ranks), 0.05f);
  for (const auto& step : run.steps) writer.rank_times(step.step, busy_s);
  writer.close();
}

fs::path write_sweep(const fs::path& folder, double slower) {
  for (const int ranks : {1, 2, 4})
    for (int repeat = 1; repeat <= 3; ++repeat)
      write_run(folder / ("weak-b8-n" + std::to_string(ranks) + "-r" + std::to_string(repeat)) / "run.h5", ranks,
                0.1 * (1 + 0.01 * repeat) * (ranks > 1 ? slower : 1));
  return folder;
}

std::string csv(double planted) {
  std::string text = "ranks,samples_per_s,batch_per_rank,run\n";
  for (const int ranks : {1, 2, 8})
    for (const double noise : {0.99, 1.0, 1.01})
      text +=
          std::to_string(ranks) + "," + std::to_string(10 * ranks * noise * (ranks > 1 ? 1 - planted : 1)) + ",4,r\n";
  return text;
}

}  // namespace

TEST_CASE("gpumonth compare prints text, JSON and a figure", "[command]") {
  const tests::TemporaryFolder folder;
  const auto a = write_sweep(folder.path() / "a", 1.02), b = write_sweep(folder.path() / "b", 1.10);
  // A resumed run: its steps belong to the run that it goes on from.
  write_run(a / "weak-b8-n2-r1" / "run-from-43.h5", 2, 0.103);
  const auto text = run_command(kCompare + a.string() + " " + b.string());
  INFO(text.err);
  REQUIRE(text.exit_code == 0);
  CHECK_THAT(text.out, contains("9 runs"));
  CHECK_THAT(text.out, contains("stragglers"));
  const fs::path figure = folder.path() / "c.svg";
  const std::string globs = "'" + a.string() + "/*/run*.h5' '" + b.string() + "/*/run*.h5'";
  const auto json = run_command(kCompare + globs + " --json --plot " + figure.string());
  REQUIRE(json.exit_code == 0);
  const auto out = nlohmann::json::parse(json.out);
  REQUIRE(out["rows"].size() == 3);
  for (const auto& row : out["rows"])
    for (const char* key : {"ranks", "efficiency_a", "efficiency_b", "difference", "low", "high"})
      CHECK(row[key].is_number());
  const auto& last = out["rows"][2];
  CHECK(last["ranks"] == 4);
  CHECK(last["efficiency_b"].get<double>() == Approx(1 / 1.10).epsilon(1e-6));
  CHECK(last["difference"].get<double>() == Approx(1 / 1.02 - 1 / 1.10).epsilon(1e-3));
  CHECK(last["low"].get<double>() < last["difference"].get<double>());
  CHECK(out["p_value"].get<double>() < 0.01);
  double total = 0;
  for (const auto& [part, value] : last["contributions"].items()) total += value.get<double>();
  CHECK(total == Approx(last["difference"].get<double>()).epsilon(1e-6));
  CHECK(out["efficiency_test"]["smallest_difference"].get<double>() > 0);
  std::ifstream in(figure);
  const std::string svg((std::istreambuf_iterator<char>(in)), {});
  CHECK_THAT(svg, contains("xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK_THAT(svg, contains("</svg>"));
  const auto again = run_command(kCompare + globs + " --plot " + figure.string());
  CHECK(again.exit_code == 2);
  CHECK_THAT(again.err, contains(figure.filename().string() + ": exists already"));
  CHECK(run_command(kCompare + globs + " --plot " + figure.string() + " --force").exit_code == 0);
}

TEST_CASE("gpumonth compare takes tables, with and without batch", "[command]") {
  const tests::TemporaryFolder folder;
  const auto a = folder.write("a.csv", csv(0)), b = folder.write("b.csv", csv(0.1));
  const auto plain = folder.write("plain.csv", "ranks,samples_per_s\n1,10\n2,19\n8,70\n");
  const auto out = nlohmann::json::parse(run_command(kCompare + a.string() + " " + b.string() + " --json").out);
  CHECK(out["rows"][2]["difference"].get<double>() == Approx(0.1).epsilon(1e-6));
  CHECK(out["p_value"].get<double>() < 0.01);
  CHECK(run_command(kCompare + a.string() + " " + plain.string()).exit_code == 0);
  const auto single = run_command(kCompare + plain.string() + " " + plain.string() + " --json");
  CHECK(single.exit_code == 0);
  CHECK(single.out.find("null") == std::string::npos);
  CHECK(single.out.find("nan") == std::string::npos);
}

TEST_CASE("compare: mistakes exit with 2 and one line", "[command]") {
  const tests::TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  write_sweep(path("a"), 1.02);
  write_run(path("one/run.h5"), 1, 0.1);
  write_run(path("other/r1/run.h5"), 1, 0.1, "dit-b-2");
  write_run(path("other/r2/run.h5"), 2, 0.1, "dit-b-2");
  write_run(path("mixed/r1/run.h5"), 1, 0.1);
  write_run(path("mixed/r2/run.h5"), 2, 0.1, "dit-b-2");
  write_run(path("young/r1/run.h5"), 1, 0.1, "dit-s-2", 3);
  write_run(path("far/r1/run.h5"), 8, 0.1);
  write_run(path("far/r2/run.h5"), 16, 0.1);
  {
    fs::create_directories(path("schema"));
    auto file = hdf5::File::create(path("schema/run.h5"));
    file.set_attribute("/", "content", "gpumonth run log");
    file.set_attribute("/", "schema_version", 99);
    file.set_attribute("/", "gpumonth_version", "7.0");
  }
  fs::create_directories(path("empty"));
  folder.write("columns.csv", "ranks,speed\n1,10\n");
  folder.write("negative.csv", "ranks,samples_per_s\n1,10\n2,-3\n");
  folder.write("header.csv", "ranks,samples_per_s\n");
  folder.write("good.csv", csv(0));
  folder.write("not.h5", "not HDF5");
  const std::string a = path("a") + " ";
  for (const std::string& arguments : std::vector<std::string>{
           a, a + path("one"), a + path("other"), a + path("mixed"), a + path("young"), a + path("far"),
           a + path("empty"), a + path("schema"), a + path("nothing"), a + "'" + path("x*.h5") + "'",
           a + path("columns.csv"), a + path("negative.csv"), a + path("header.csv"), a + path("not.h5"),
           a + path("good.csv") + "," + path("one"), a + path("a") + " " + a, a + path("a") + " --curve-a x",
           a + path("a") + " --plot " + path("none/c.svg")}) {
    INFO(arguments);
    const auto result = run_command(kCompare + arguments);
    INFO(result.err);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}
