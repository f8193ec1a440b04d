// A profiler that listens sees a step's parts in order, each closed by the thread that opened it.
#include <fstream>
#include <map>
#include <sstream>

#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;

TEST_CASE("a training's ranges reach a profiler") {
  const tests::TemporaryFolder folder;
  const std::string heard = (folder.path() / "heard").string();
  const auto result = tests::run_command(
      "NVTX_INJECTION64_PATH=" NVTX_LISTENER " NVTX_LISTENER_OUTPUT=" + heard + " " +
      tests::mpirun(2, GPUMONTH_BINARY " train " GPUMONTH_SOURCE_DIR
                                       "/configs/runs/tiny.toml --set run.steps=3 --set run.threads=1 --set "
                                       "run.directory=" +
                           (folder.path() / "run").string()));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  std::map<int, std::vector<std::string>> open;  // by thread
  std::map<std::string, int> count;              // by what a range is in: "step/forward"
  std::ifstream lines(heard);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    int thread = 0;
    std::string what, name;
    words >> thread >> what >> name;
    auto& stack = open[thread];
    if (what == "pop") {
      REQUIRE_FALSE(stack.empty());
      stack.pop_back();
      continue;
    }
    ++count[stack.empty() ? name : stack.back() + "/" + name];
    stack.push_back(name);
  }
  for (const auto& [thread, stack] : open) CHECK(stack.empty());
  for (const char* part : {"step", "step/forward", "step/backward", "step/update", "wait"}) {
    INFO(part);
    CHECK(count[part] == 2 * 3);  // ranks, steps
  }
  CHECK(count["bucket"] >= 2 * 3 * 2);  // on a thread of its own
  CHECK(count["bucket"] % (2 * 3) == 0);
}
