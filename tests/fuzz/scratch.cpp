#include "tests/fuzz/scratch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace gpumonth::fuzz {
namespace fs = std::filesystem;

namespace {

/// In memory where there is such a file system: an execution takes less than a disk's answer.
struct Scratch {
  Scratch() : path(root() / fmt::format("gpumonth-fuzz-{}", ::getpid()) / "work") {
    fs::create_directories(path);
    for (const auto& entry : fs::directory_iterator(fs::path(GPUMONTH_SOURCE_DIR) / "configs"))
      fs::create_directory_symlink(fs::absolute(entry.path()), path.parent_path() / entry.path().filename());
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path.parent_path(), ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  /// run.sh names a folder that it removes, as a crash leaves the files behind.
  static fs::path root() {
    if (const char* given = std::getenv("GPUMONTH_FUZZ_SCRATCH")) return given;
    return ::access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path();
  }
  fs::path path;
};

}  // namespace

const fs::path& scratch_folder() {
  static const Scratch scratch;
  return scratch.path;
}

fs::path write_scratch(const std::string& name, const std::string& bytes) {
  const fs::path file = scratch_folder() / name;
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw std::logic_error("cannot write " + file.string());
  return file;
}

std::string read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream bytes;
  if (in.peek() != std::ifstream::traits_type::eof()) bytes << in.rdbuf();
  return bytes.str();
}

std::pair<std::string, std::vector<std::string>> split_overrides(const std::string& input) {
  const std::string mark = "\n--set\n";
  const auto at = input.find(mark);
  if (at == std::string::npos) return {input, {}};
  std::vector<std::string> overrides;
  std::istringstream lines(input.substr(at + mark.size()));
  for (std::string line; std::getline(lines, line);) overrides.push_back(line);
  return {input.substr(0, at + 1), overrides};
}

}  // namespace gpumonth::fuzz
