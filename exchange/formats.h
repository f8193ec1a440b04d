// What `gpumonth export` can write: a row of a table each. docs/exchange.md says what is in them.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "exchange/operations.h"

namespace gpumonth::exchange {

struct Format {
  const char* name;   ///< "perfetto": the option is --perfetto
  const char* takes;  ///< what stands behind it in --help: "FILE.json"
  const char* help;
  DefaultSteps steps;
  const char* note;                                   ///< to the reader of a log of several ranks; may be empty
  std::string (*whole)(const Timeline&);              ///< the file's text; null: one for each rank,
  std::string (*of_rank)(const Timeline&, int rank);  ///< whose bytes this returns; null: one file
};
std::span<const Format> formats();

std::string to_perfetto(const Timeline& timeline);
std::string to_chakra(const Timeline& timeline, int rank);
std::string to_goal(const Timeline& timeline);
std::string to_mllog(const Timeline& timeline);
std::string to_csv(const Timeline& timeline);

/// `target`, or target.0.et and so on. `ranks` of the run.
std::vector<std::filesystem::path> output_files(const Format& format, const std::string& target, int ranks);

struct Exported {
  std::vector<std::filesystem::path> files;
  std::string summary;             ///< "trace.json: 10 steps (20 to 29), 2 ranks"
  std::vector<std::string> notes;  ///< what is left out, what is not known
};

/// Writes all of a format's files, or none. Throws UserError as select_steps() does, and where a file exists (without
/// `force`) or cannot be written.
Exported export_run(const runlog::Run& run, const Format& format, const std::string& target, const std::string& steps,
                    bool force);

}  // namespace gpumonth::exchange
