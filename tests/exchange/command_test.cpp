// export and import as a user runs them.
#include "tests/command.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/catch.h"
#include "tests/exchange/made_run.h"

using gpumonth::exchange::samples::made_run;
using gpumonth::exchange::samples::write_run;
using gpumonth::tests::contains;
using gpumonth::tests::run_command;
using gpumonth::tests::TemporaryFolder;

namespace {

const std::string kBinary = GPUMONTH_BINARY;

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

/// Expects exit code 2, one line on stderr and nothing on stdout; returns the line.
std::string mistake(const std::string& arguments) {
  const auto r = run_command(kBinary + " " + arguments);
  INFO(arguments << "\n" << r.out << r.err);
  CHECK(r.exit_code == 2);
  CHECK(r.out.empty());
  CHECK(std::ranges::count(r.err, '\n') == 1);
  return r.err;
}

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("export writes every format, and says what is left out and not known") {
  const TemporaryFolder folder;
  const std::string log = write_run(folder, made_run()), out = folder.path().string();
  const auto r = run_command(kBinary + " export " + log + " --perfetto " + out + "/t.json --chakra " + out +
                             "/c --goal " + out + "/g.goal --mllog " + out + "/m.txt --csv " + out + "/o.csv");
  INFO(r.out << r.err);
  REQUIRE(r.exit_code == 0);
  CHECK(r.err.empty());
  CHECK_THAT(r.out, contains("/t.json: 10 steps (9 to 19) of 2 ranks"));
  CHECK_THAT(r.out, contains("/c.0.et to " + out + "/c.1.et: 4 steps (4 to 16) of 2 ranks"));
  CHECK_THAT(r.out, contains("10 of 20 steps are left out"));
  CHECK_THAT(r.out, contains("stretched to their busy times"));
  CHECK(nlohmann::json::parse(text_of(folder.path() / "t.json"))["traceEvents"].size() > 50);
  CHECK(text_of(folder.path() / "g.goal").find("num_ranks 2") != std::string::npos);
  const std::string csv = text_of(folder.path() / "o.csv");
  CHECK(csv.starts_with("step,phase,rank,operation,bucket,start_s,duration_s,bytes,source,samples,loss,power_w\n"));
  CHECK_THAT(csv, contains("\n12,steady,0,step,,11.000000000,1.000000000,,measured,16,0.0833333333,\n"));
  CHECK_THAT(csv, contains("\n12,steady,0,bucket waiting,1,11.450000000,0.050000000,1000001,measured,,,\n"));
  CHECK_THAT(csv, contains("\n12,steady,1,busy,,11.000000000,0.76999998"));
  std::istringstream rows(csv);
  for (std::string row; std::getline(rows, row);) CHECK(std::ranges::count(row, ',') == 11);
}

TEST_CASE("what export writes as MLLOG, import reads, and fit forecasts from it") {
  const TemporaryFolder folder;
  const std::string out = folder.path().string();
  std::string logs;
  for (const int ranks : {1, 2, 4}) {
    auto run = made_run(ranks);
    run.path = "r" + std::to_string(ranks) + ".h5";
    for (auto& step : run.steps) step.samples = 16 * ranks;
    run.info.global_batch = 16 * ranks;
    const std::string mllog = out + "/r" + std::to_string(ranks) + ".txt";
    REQUIRE(run_command(kBinary + " export " + write_run(folder, run) + " --mllog " + mllog).exit_code == 0);
    logs += " " + mllog;
  }
  const auto import = run_command(kBinary + " import --mllog" + logs + " -o " + out + "/curve.csv");
  INFO(import.out << import.err);
  REQUIRE(import.exit_code == 0);
  CHECK_THAT(import.out, contains("note: 3 of 3 runs: global batch / train_step_time, median of blocks"));
  CHECK(text_of(folder.path() / "curve.csv").starts_with("ranks,samples_per_s,batch_per_rank,run\n1,16,16,"));
  const auto fit = run_command(kBinary + " fit --csv " + out + "/curve.csv --predict 8 --json");
  INFO(fit.out << fit.err);
  REQUIRE(fit.exit_code == 0);
  const auto json = nlohmann::json::parse(fit.out);
  CHECK(json["predictions"][0]["samples_per_s"].get<double>() == Approx(128).epsilon(0.1));
}

TEST_CASE("export: a user's mistake is one line and exit code 2, and nothing is written") {
  const TemporaryFolder folder;
  const std::string log = write_run(folder, made_run()), out = folder.path().string();
  CHECK_THAT(mistake("export " + log), contains("--perfetto FILE.json, --chakra PREFIX"));
  CHECK_THAT(mistake("export " + log + " --perfeto x"), contains("did you mean '--perfetto'?"));
  CHECK_THAT(mistake("export --csv x"), contains("is required"));
  CHECK_THAT(mistake("export " + out + "/none.h5 --csv " + out + "/x.csv"), contains("none.h5"));
  CHECK_THAT(mistake("export " + log + " --csv " + out), contains("is a folder"));
  CHECK_THAT(mistake("export " + log + " --csv " + out + "/no/x.csv"), contains("does not exist"));
  CHECK_THAT(mistake("export " + log + " --csv " + out + "/x.csv --steps 30:40"), contains("1 to 20"));
  CHECK_THAT(mistake("export " + log + " --chakra " + out + "/c --steps 5"), contains("has a timeline"));
  CHECK_THAT(mistake("export " + log + " --mllog " + out + "/m.txt --steps 1:2"),
             contains("none of these steps is steady"));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("export does not overwrite, and leaves no half of a set of files") {
  const TemporaryFolder folder;
  const std::string log = write_run(folder, made_run()), out = folder.path().string();
  folder.write("c.1.et", "mine");
  CHECK_THAT(mistake("export " + log + " --chakra " + out + "/c"), contains("c.1.et: exists already"));
  CHECK(files_in(folder.path()) == 2);
  CHECK(run_command(kBinary + " export " + log + " --chakra " + out + "/c --force").exit_code == 0);
  CHECK(text_of(folder.path() / "c.1.et").size() > 100);
}

TEST_CASE("where one file of a set cannot be written, none is left") {
  const TemporaryFolder folder;
  const std::string log = write_run(folder, made_run(11));
  // names become longer by one from rank 9 to rank 10: at one length of the prefix only the last is too long
  std::size_t whole = 0, none = 0;
  for (std::size_t length = 225; length < 250; ++length) {
    const auto out = folder.path() / "out";
    std::filesystem::create_directory(out);
    const std::string prefix = (out / std::string(length, 'x')).string();
    const auto r = run_command(kBinary + " export " + log + " --chakra " + prefix + " --steps 8");
    INFO(length << "\n" << r.out << r.err);
    CHECK(files_in(out) == (r.exit_code == 0 ? 11 : 0));
    ++(r.exit_code == 0 ? whole : none);
    std::filesystem::remove_all(out);
  }
  CHECK(whole > 0);
  CHECK(none > 0);
}

TEST_CASE("import: a user's mistake is one line and exit code 2") {
  const TemporaryFolder folder;
  const std::string out = folder.path().string();
  folder.write("old.csv", "x");
  CHECK_THAT(mistake("import --mllog x.txt"), contains("--output"));
  CHECK_THAT(mistake("import -o " + out + "/c.csv"), contains("--mllog"));
  CHECK_THAT(mistake("import --mlog x -o y"), contains("did you mean '--mllog'?"));
  CHECK_THAT(mistake("import --mllog x.txt -o " + out + "/old.csv"), contains("exists already"));
  CHECK_THAT(mistake("import --mllog " + out + "/none.txt -o " + out + "/c.csv"), contains("cannot be read"));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("export and import explain themselves") {
  const auto help = run_command(kBinary + " export --help");
  CHECK(help.exit_code == 0);
  for (const char* option : {"--perfetto", "--chakra", "--goal", "--mllog", "--csv", "--steps", "--force"})
    CHECK_THAT(help.out, contains(option));
  CHECK_THAT(run_command(kBinary + " import --help").out, contains("[RANKS:]FILE"));
}
