// Which files make up a set of runs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace gpumonth::scaling {

/// One argument of the command line as files, sorted: a folder (its run*.h5 at any depth, as jobs/sweep.sh
/// leaves them; where there is none, its *.h5 but checkpoints), a file, a glob, or several of these with
/// commas between. Throws UserError where one of them names nothing.
std::vector<std::filesystem::path> find_run_files(const std::string& argument);

/// Files of one run together: run.h5 and run-from-100.h5 (what a resume writes) in one folder. In the order
/// of their steps.
std::vector<std::vector<std::filesystem::path>> group_resumed(const std::vector<std::filesystem::path>& files);

}  // namespace gpumonth::scaling
