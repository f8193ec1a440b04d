#include "report/svg.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <stdexcept>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/format.h"
#include "base/text_file.h"

extern char** environ;

namespace gpumonth::report {
namespace {

namespace fs = std::filesystem;

/// A folder that nobody else can read, gone at the end of the scope.
class PrivateFolder {
 public:
  PrivateFolder() {
    std::string pattern = (fs::temp_directory_path() / "gpumonth-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      user_error("{}: cannot make a temporary folder ({}): free space there or set TMPDIR", pattern,
                 std::strerror(errno));
    path_ = pattern;
  }
  ~PrivateFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// Runs `gnuplot -d script`, standard output and standard error into files; its exit status.
int run_gnuplot(const fs::path& script, const fs::path& output, const fs::path& errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT, 0600);
  std::string program = "gnuplot", no_defaults = "-d", file = script.string();
  std::array<char*, 4> arguments = {program.data(), no_defaults.data(), file.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) user_error("gnuplot was not found on PATH, the report's plots need it: apt install gnuplot-nox");
  if (error != 0) user_error("gnuplot cannot be started: {}", std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/// The <svg> element without XML declaration, namespaces and comments; ids get a prefix, so that several
/// figures can stand in one page.
std::string inline_svg(std::string text, const std::string& id, const std::string& description) {
  text.erase(0, text.find("<svg"));
  text = std::regex_replace(text, std::regex("\\s+xmlns(:xlink)?=\"[^\"]*\""), "");
  text = std::regex_replace(text, std::regex("<(title|desc)>[^<]*</\\1>\\s*"), "");
  text = std::regex_replace(text, std::regex("\\bid=(['\"])"), "id=$1" + id + "-");
  text = std::regex_replace(text, std::regex("href=(['\"])#"), "href=$1#" + id + "-");
  text = std::regex_replace(text, std::regex("url\\(#"), "url(#" + id + "-");
  const std::string head = fmt::format("<svg id=\"{}\" role=\"img\" aria-label=\"{}\"", id, description);
  return text.replace(0, 4, head);
}

}  // namespace

std::string series_colour(std::size_t i) {
  constexpr std::array colours = {"#2f5d8a", "#c0563f", "#6b9b7a", "#d9a441",
                                  "#7a6a9b", "#4aa3a2", "#8a5a44", "#66727f"};
  return colours[i % colours.size()];
}

std::string decade_tics(double low, double high, const std::vector<double>& steps) {
  std::string tics;
  for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10)
    for (const double step : steps) {
      const double at = decade * step;
      if (at < low || at > high) continue;
      tics += fmt::format("{}{} {:.9g}", tics.empty() ? "" : ", ", quoted(axis_text(at)), at);
    }
  return tics;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : clean_line(text)) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

Plot::Plot(int width_px, int height_px) {
  line(fmt::format("set terminal svg size {},{} dynamic noenhanced rounded font 'Helvetica,Arial,sans-serif,13'",
                   width_px, height_px));
  line("set encoding utf8");
  line(fmt::format("set border 3 lc rgb '{}' lw 1", colour::kAxis));
  line(fmt::format("set tics nomirror out scale 0.4 textcolor rgb '{}'", colour::kMuted));
  line(fmt::format("set grid back lc rgb '{}' lw 1 lt 1", colour::kGrid));
  line(fmt::format("set key textcolor rgb '{}'", colour::kInk));
  for (const char* axis : {"xlabel", "ylabel"}) line(fmt::format("set {} textcolor rgb '{}'", axis, colour::kMuted));
  line("set style fill solid 1.0 noborder");
}

Plot& Plot::line(const std::string& text) {
  script_ += text + "\n";
  return *this;
}

Plot& Plot::label(const std::string& text, const std::string& place, const std::string& options) {
  return line(fmt::format("set label {} at {} front {}", quoted(text), place, options));
}

Plot& Plot::data(const std::string& name, const std::vector<std::vector<double>>& rows) {
  script_ += "$" + name + " << EOD\n";
  for (const auto& row : rows) {
    for (const double value : row) script_ += std::isfinite(value) ? fmt::format("{:.9g} ", value) : "NaN ";
    script_ += "\n";
  }
  script_ += "EOD\n";
  return *this;
}

std::string Plot::svg(const std::string& id, const std::string& description) const {
  const PrivateFolder folder;
  const fs::path script = folder / "plot.gp", output = folder / "plot.svg", errors = folder / "errors";
  std::ofstream file(script);
  file << script_ << "unset output\n";
  file.close();
  if (!file) user_error("{}: cannot be written: free space there or set TMPDIR", script.string());
  const int status = run_gnuplot(script, output, errors);
  const std::string text = bytes_of_file(output);
  if (status != 0 || text.find("</svg>") == std::string::npos)
    throw std::runtime_error(
        fmt::format("gnuplot made no figure '{}' (exit status {}): {}", id, status, bytes_of_file(errors)));
  return inline_svg(text, id, description);
}

}  // namespace gpumonth::report
