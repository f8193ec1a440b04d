// The live line on terminals of several widths.
#include "trainer/progress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
using trainer::fitted_line;

namespace {

/// What `command` writes to a terminal of this many columns.
std::string on_terminal(const std::string& command, int columns) {
  winsize size = {};
  size.ws_row = 24;
  size.ws_col = static_cast<unsigned short>(columns);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  REQUIRE(child >= 0);
  if (child == 0) {
    setenv("TERM", "xterm", 1);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(terminal, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  close(terminal);
  int status = 0;
  waitpid(child, &status, 0);
  INFO(text);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);
  return text;
}

/// The live lines: each begins with a return and ends by erasing the rest of the row.
std::vector<std::string> live_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t end, at = 0; (end = text.find("\x1b[K", at)) != std::string::npos; at = end + 1) {
    const std::size_t begin = text.rfind('\r', end);
    REQUIRE(begin != std::string::npos);
    lines.push_back(text.substr(begin + 1, end - begin - 1));
  }
  return lines;
}

}  // namespace

TEST_CASE("progress: parts are dropped from the right until the line is shorter than the terminal") {
  const std::vector<std::string> parts = {"step 1/60", "loss 1.0", "ETA 3 s"};
  CHECK(fitted_line(parts, 80) == "step 1/60  loss 1.0  ETA 3 s");
  CHECK(fitted_line(parts, 29) == "step 1/60  loss 1.0  ETA 3 s");
  CHECK(fitted_line(parts, 28) == "step 1/60  loss 1.0");
  CHECK(fitted_line(parts, 10) == "step 1/60");
  CHECK(fitted_line(parts, 6) == "step ");
  CHECK(fitted_line(parts, 1) == "s");
  CHECK(fitted_line({}, 80).empty());
}

TEST_CASE("progress: no live line reaches the terminal's last column") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  for (const int ranks : {0, 2})
    for (const int columns : {200, 80, 40, 20}) {
      if (ranks == 2 && columns != 80) continue;  // a launcher in between changes nothing but whose terminal it is
      INFO(ranks << " ranks, " << columns << " columns");
      const auto directory = folder.path() / fmt::format("out-{}-{}", ranks, columns);
      const std::string text =
          on_terminal(train_command(ranks, file, {"run.steps=200", "run.directory=" + directory.string()}), columns);
      const auto lines = live_lines(text);
      REQUIRE(lines.size() >= 2);
      for (const std::string& line : lines) {
        CHECK(line.size() < static_cast<std::size_t>(columns));
        CHECK(line.starts_with("step "));
      }
      if (columns >= 40) CHECK_THAT(lines.back(), contains("step 200/200  loss "));
      if (columns >= 80) CHECK_THAT(lines.back(), contains("ETA"));
      CHECK((lines.back().find("exposed comm") != std::string::npos) == (columns == 200));
    }
}

TEST_CASE("progress: the line follows a terminal whose size changes") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const auto directory = folder.path() / "out-resized";
  const std::string run = train_command(0, file, {"run.steps=1000000", "run.directory=" + directory.string()});
  const std::string log = (directory / "run.h5").string();
  // narrower in the middle, as a window is
  const std::string text = on_terminal(
      run + " & job=$!; until [ -s " + log +
          " ]; do sleep 0.1; done; sleep 1; stty cols 30 </dev/tty; sleep 2; kill -TERM $job; wait $job; [ $? = 3 ]",
      120);
  const auto lines = live_lines(text);
  REQUIRE(lines.size() > 4);
  CHECK(lines.front().size() > 60);
  CHECK(lines.back().size() < 30);
}
