// The run logs that a command line names, each read once and counted once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runlog/reader.h"
#include "runlog/record.h"

namespace gpumonth::scaling {

/// Finds what was named twice: the same file (globs that overlap, symbolic and hard links), and copies. A copy has the
/// start, the hosts and the step times of another log; one that was made while the log grew has the first of them.
class KnownLogs {
 public:
  /// Whether nothing that was asked about before is this file. Before it is read.
  bool is_new(const std::filesystem::path& file);
  /// Whether nothing that was asked about before is this run.
  bool is_new(const runlog::Run& log);
  /// "again.h5 is g1.h5 once more: it counts once"; empty where all were new.
  std::string note() const;

 private:
  struct Known {
    std::string path;
    double start_time_unix_s;
    std::vector<std::string> hostnames;
    std::int64_t first_step;
    std::vector<double> step_times_s;
  };
  static bool same_run(const Known& a, const Known& b);
  void add_duplicate(const std::string& path, const std::string& of);

  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> files_;  ///< by device and inode
  std::vector<Known> logs_;
  std::string first_duplicate_;
  std::size_t duplicates_ = 0;
};

struct RunLogs {
  std::vector<runlog::Run> runs;
  std::vector<std::string> notes;  ///< which were named twice
};

/// Throws UserError as runlog::read does.
RunLogs read_run_logs(const std::vector<std::string>& files, runlog::Kind kind = runlog::Kind::training);

}  // namespace gpumonth::scaling
