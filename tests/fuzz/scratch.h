// Files of an execution: in memory, in a folder of this process.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace gpumonth::fuzz {

/// A new folder, beside links to the folders of the repository's configs/, so that ../models/dit-s-2.toml is there.
/// It stays until the process ends.
const std::filesystem::path& scratch_folder();

/// Writes `bytes` to `name` in it.
std::filesystem::path write_scratch(const std::string& name, const std::string& bytes);

std::string read_bytes(const std::filesystem::path& file);

/// "TOML\n--set\na.b=1\nc.d=2\n": the file's text and the overrides.
std::pair<std::string, std::vector<std::string>> split_overrides(const std::string& input);

}  // namespace gpumonth::fuzz
