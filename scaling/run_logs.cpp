#include "scaling/run_logs.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

namespace gpumonth::scaling {

bool KnownLogs::is_new(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return true;  // reading it says what is wrong
  const auto [known, added] = files_.try_emplace({status.st_dev, status.st_ino}, file.string());
  if (!added) add_duplicate(file.string(), known->second);
  return added;
}

bool KnownLogs::is_new(const runlog::Run& log) {
  if (log.steps.empty()) return true;
  Known mine{log.path, log.info.start_time_unix_s, log.info.hostnames, log.steps.front().step, {}};
  for (const auto& step : log.steps) mine.step_times_s.push_back(step.step_time_s);
  const auto found =
      std::find_if(logs_.begin(), logs_.end(), [&](const Known& known) { return same_run(known, mine); });
  if (found != logs_.end()) {
    add_duplicate(log.path, found->path);
    return false;
  }
  logs_.push_back(std::move(mine));
  return true;
}

bool KnownLogs::same_run(const Known& a, const Known& b) {
  const auto common = static_cast<std::ptrdiff_t>(std::min(a.step_times_s.size(), b.step_times_s.size()));
  return a.start_time_unix_s == b.start_time_unix_s && a.hostnames == b.hostnames && a.first_step == b.first_step &&
         std::equal(a.step_times_s.begin(), a.step_times_s.begin() + common, b.step_times_s.begin());
}

void KnownLogs::add_duplicate(const std::string& path, const std::string& of) {
  if (duplicates_++ > 0) return;
  first_duplicate_ = path == of ? fmt::format("{} was named twice", path) : fmt::format("{} is {} once more", path, of);
}

std::string KnownLogs::note() const {
  if (duplicates_ == 0) return "";
  if (duplicates_ == 1) return first_duplicate_ + ": it counts once";
  return fmt::format("{}: it counts once, and so do {} more that were named again", first_duplicate_, duplicates_ - 1);
}

RunLogs read_run_logs(const std::vector<std::string>& files, runlog::Kind kind) {
  RunLogs logs;
  KnownLogs known;
  for (const auto& file : files) {
    if (!known.is_new(std::filesystem::path(file))) continue;
    auto run = runlog::read(file, kind);
    if (known.is_new(run)) logs.runs.push_back(std::move(run));
  }
  if (auto note = known.note(); !note.empty()) logs.notes.push_back(std::move(note));
  return logs;
}

}  // namespace gpumonth::scaling
