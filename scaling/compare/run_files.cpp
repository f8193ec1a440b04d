#include "scaling/compare/run_files.h"

#include <glob.h>

#include <algorithm>
#include <map>
#include <system_error>

#include "base/error.h"

namespace gpumonth::scaling {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> in_folder(const fs::path& folder) {
  std::vector<fs::path> runs, others;
  std::error_code error;
  auto walk = fs::recursive_directory_iterator(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (walk->path().extension() != ".h5") continue;
    const std::string name = walk->path().filename().string();
    if (name.starts_with("run")) runs.push_back(walk->path());
    if (walk.depth() == 0 && !name.starts_with("checkpoint") && !name.starts_with(".")) others.push_back(walk->path());
  }
  if (error) user_error("{}: cannot be read: {}", folder.string(), error.message());
  auto& found = runs.empty() ? others : runs;
  if (found.empty())
    user_error("{}: no run logs in it (run*.h5, at any depth): give the folder that jobs/sweep.sh wrote",
               folder.string());
  return found;
}

std::vector<fs::path> matching(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) user_error("{}: there is no such file or folder", pattern);
  glob_t result{};
  std::vector<fs::path> found;
  if (glob(pattern.c_str(), 0, nullptr, &result) == 0)
    for (std::size_t i = 0; i < result.gl_pathc; ++i) found.emplace_back(result.gl_pathv[i]);
  globfree(&result);
  if (found.empty()) user_error("{}: matches no file", pattern);
  return found;
}

void add(const std::string& argument, std::vector<fs::path>& files) {
  std::error_code ignored;
  std::vector<fs::path> named;
  if (fs::exists(argument, ignored)) {
    named = {argument};
  } else if (const auto comma = argument.find(','); comma != std::string::npos) {
    add(argument.substr(0, comma), files);
    return add(argument.substr(comma + 1), files);
  } else {
    named = matching(argument);
  }
  for (const auto& path : named) {
    if (!fs::is_directory(path, ignored)) {
      files.push_back(path);
      continue;
    }
    for (auto& file : in_folder(path)) files.push_back(std::move(file));
  }
}

}  // namespace

std::vector<fs::path> find_run_files(const std::string& argument) {
  std::vector<fs::path> files;
  add(argument, files);
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::vector<std::vector<fs::path>> group_resumed(const std::vector<fs::path>& files) {
  std::vector<std::vector<fs::path>> groups;
  std::map<std::string, std::size_t> by_run;
  for (const auto& file : files) {
    const std::string stem = file.stem().string();
    const auto key = (file.parent_path() / stem.substr(0, stem.find("-from-"))).string();
    const auto [found, is_new] = by_run.try_emplace(key, groups.size());
    if (is_new) groups.emplace_back();
    groups[found->second].push_back(file);
  }
  // run.h5 before run-from-100.h5 before run-from-1000.h5
  for (auto& group : groups)
    std::sort(group.begin(), group.end(), [](const fs::path& x, const fs::path& y) {
      const auto a = x.filename().string(), b = y.filename().string();
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
  return groups;
}

}  // namespace gpumonth::scaling
