#include "exchange/formats.h"

#include <fmt/format.h>

#include <system_error>

#include "base/error.h"
#include "base/text_file.h"

namespace gpumonth::exchange {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgramNote =
    "what other ranks do is rank 0's, stretched to their busy times; communication behind the optimizer is left out";

constexpr Format kFormats[] = {
    {"perfetto", "FILE.json", "a trace for ui.perfetto.dev and chrome://tracing", DefaultSteps::last_steady, "",
     to_perfetto, nullptr},
    {"chakra", "PREFIX", "execution traces for ASTRA-sim, PREFIX.0.et and so on, one a rank",
     DefaultSteps::last_exchanged, kProgramNote, nullptr, to_chakra},
    {"goal", "FILE.goal", "a schedule for LogGOPSim and ATLAHS, buckets as rings of messages",
     DefaultSteps::last_exchanged, kProgramNote, to_goal, nullptr},
    {"mllog", "FILE.txt", "the run as MLPerf's training results have it, :::MLLOG lines; of all steps",
     DefaultSteps::all, "", to_mllog, nullptr},
    {"csv", "FILE.csv", "a table with a row for each operation", DefaultSteps::last_steady, "", to_csv, nullptr},
};

/// A set of files of which some are written is no export.
class WrittenFiles {
 public:
  ~WrittenFiles() {
    std::error_code ignored;
    for (const auto& file : files_) fs::remove(file, ignored);
  }
  void add(const fs::path& file) { files_.push_back(file); }
  void keep() { files_.clear(); }

 private:
  std::vector<fs::path> files_;
};

std::string plural(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string summary_of(const Timeline& timeline, const std::vector<fs::path>& files) {
  const auto& steps = timeline.steps();
  const std::string what =
      files.size() == 1 ? files.front().string() : files.front().string() + " to " + files.back().string();
  return fmt::format("{}: {} ({}{}) of {}", what, plural(steps.size(), "step"), steps.front()->step,
                     steps.size() == 1 ? "" : fmt::format(" to {}", steps.back()->step),
                     plural(static_cast<std::size_t>(timeline.ranks()), "rank"));
}

}  // namespace

std::span<const Format> formats() { return kFormats; }

std::vector<fs::path> output_files(const Format& format, const std::string& target, int ranks) {
  if (format.whole != nullptr) return {target};
  std::vector<fs::path> files;
  for (int rank = 0; rank < ranks; ++rank) files.emplace_back(fmt::format("{}.{}.et", target, rank));
  return files;
}

Exported export_run(const runlog::Run& run, const Format& format, const std::string& target, const std::string& steps,
                    bool force) {
  const auto files = output_files(format, target, run.info.world_size);
  for (const auto& file : files) check_output(file, force);
  StepSelection selection = select_steps(run, steps, format.steps);
  std::vector<std::string> notes;
  if (!selection.left_out.empty()) notes.push_back(selection.left_out);
  const Timeline timeline(run, std::move(selection));
  if (format.steps != DefaultSteps::all)  // a log of whole steps has nothing of ranks and buckets
    notes.insert(notes.end(), timeline.notes().begin(), timeline.notes().end());
  if (timeline.ranks() > 1 && *format.note != '\0') notes.emplace_back(format.note);
  if (format.whole != nullptr) {
    write_text_file(target, format.whole(timeline), force);
  } else {
    WrittenFiles written;
    for (std::size_t rank = 0; rank < files.size(); ++rank) {
      write_bytes_file(files[rank], format.of_rank(timeline, static_cast<int>(rank)), force);
      written.add(files[rank]);
    }
    written.keep();
  }
  return {files, summary_of(timeline, files), std::move(notes)};
}

}  // namespace gpumonth::exchange
