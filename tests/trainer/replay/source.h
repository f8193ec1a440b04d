// A run log that all ranks of a test replay, and what its times are held to.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "runlog/reader.h"
#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"
#include "tests/command.h"
#include "tests/replay/samples.h"
#include "tests/runlog/foreign.h"
#include "trainer/replay/replay_run.h"

namespace gpumonth::tests {

/// A folder that all ranks see, gone when all are done with it. Collective.
struct SharedFolder {
  std::unique_ptr<TemporaryFolder> own;  ///< of rank 0
  std::filesystem::path path;

  SharedFolder() {
    if (ranks().rank() == 0) own = std::make_unique<TemporaryFolder>();
    path = ranks().all_gather(own ? own->path().string() : "")[0];
  }
  ~SharedFolder() { ranks().barrier(); }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;
};

/// One with source.h5 in it.
struct Source {
  SharedFolder shared;
  const std::filesystem::path& folder = shared.path;

  explicit Source(const runlog::Run& run) {
    if (ranks().rank() == 0) runlog::write(folder / "source.h5", run);
    ranks().barrier();
  }

  trainer::ReplayOptions options() const {
    trainer::ReplayOptions o;
    o.logs = {(folder / "source.h5").string()};
    o.directory = (folder / "out").string();
    o.steps = 33;
    o.changes.stragglers = false;
    o.most_late = INFINITY;  // this machine may be busy
    return o;
  }
  runlog::Run log() const { return runlog::read(folder / "out" / "run.h5"); }
};

/// The last step has no data behind it.
template <class Value>
double least_of(const runlog::Run& run, Value value) {
  double least = INFINITY;
  for (const auto& s : run.steady())
    if (s.step != run.steps.back().step) least = std::min(least, value(s));
  return least;
}

/// What a wait may be late at best. An emulated GPU's own work takes the host's cores, which other programs want too.
inline double most_late_s() { return transport().gpu() >= 0 ? 15e-3 : 3e-3; }

/// No sleep ends early, and of many some end in time, also where other programs want the cores.
inline void check_time(double least_s, double recorded_s) {
  CHECK(least_s >= recorded_s - 1e-4);  // two threads read the clock
  CHECK(least_s <= recorded_s + most_late_s());
}

}  // namespace gpumonth::tests
