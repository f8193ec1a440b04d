// Runs a program as a user would and keeps what it said.
#pragma once

#include <filesystem>
#include <string>

namespace gpumonth::tests {

struct CommandResult {
  int exit_code = -1;  ///< as the shell gives it; 128 + n after signal n
  std::string out;     ///< standard output
  std::string err;     ///< standard error
};

/// Runs `command_line` in /bin/sh and waits for its end.
CommandResult run_command(const std::string& command_line);

/// `command` as so many ranks of this host, whatever its cores.
std::string mpirun(int ranks, const std::string& command);

/// A new empty folder under the system's temporary folder, removed with everything in it at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  /// Writes `text` to `name` in this folder and returns the file's path.
  std::filesystem::path write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

}  // namespace gpumonth::tests
