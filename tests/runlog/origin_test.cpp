// Where a log's times come from.
#include "base/error.h"
#include "base/hdf5.h"
#include "runlog/reader.h"
#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/foreign.h"
#include "tests/runlog/samples.h"

using namespace gpumonth;
using namespace gpumonth::runlog;
using gpumonth::tests::contains;

namespace {

RunInfo replayed() {
  RunInfo info = samples::info();
  info.origin = Origin::replayed;
  info.source_run = "runs/one/run.h5, runs/zwölf/run.h5";
  info.source_changes = "compute x 0.5";
  return info;
}

}  // namespace

TEST_CASE("a log says whose compute it holds and what was changed of it") {
  const tests::TemporaryFolder folder;
  for (const Origin origin : {Origin::replayed, Origin::simulated}) {
    RunInfo info = replayed();
    info.origin = origin;
    const auto file = folder.path() / name(origin);
    Writer(file, info).close();
    CHECK(hdf5::File::open(file).text_attribute("/", "origin") == name(origin));
    const RunInfo back = read(file).info;
    CHECK(back.origin == origin);
    CHECK(back.source_run == info.source_run);
    CHECK(back.source_changes == info.source_changes);
  }
  CHECK(std::string(name(Origin::replayed)) == "replayed");
  CHECK(std::string(name(Origin::simulated)) == "simulated");
}

TEST_CASE("a measured log says nothing of it, as logs did before") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "run.h5";
  Writer(file, samples::info()).close();
  for (const char* attribute : {"origin", "source_run", "source_changes"})
    CHECK_FALSE(hdf5::File::open(file).has_attribute("/", attribute));
  const RunInfo back = read(file).info;
  CHECK(back.origin == Origin::measured);
  CHECK(back.source_run.empty());
}

TEST_CASE("an origin that is none is refused, and one without its source is not") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "run.h5";
  Writer(file, replayed()).close();
  samples::Changed(file).attribute("origin", std::string("guessed"));
  CHECK_THROWS_WITH(read(file), contains("run.h5") && contains("'origin' is 'guessed'") &&
                                    contains("measured, replayed or simulated"));
  samples::Changed(file).attribute("origin", std::string("measured"));
  CHECK(read(file).info.origin == Origin::measured);
  samples::Changed(file).attribute("origin", std::string("replayed"));
  samples::Changed(file).without("source_run");
  CHECK(read(file).info.source_run.empty());
  samples::Changed(file).attribute("source_changes", std::string(20 << 10, 'x'));
  CHECK_THROWS_WITH(read(file), contains("source_changes"));
}
