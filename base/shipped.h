// The files that came with this program: its configs/ folder, wherever it was built, unpacked or installed.
#pragma once

#include <filesystem>

namespace gpumonth {

/// The configs folder that belongs to this program: beside it or up to four folders above it, as configs/ (build/cpu of
/// a source tree, a bundle) or share/gpumonth/configs/ (installed). Empty where there is none.
std::filesystem::path shipped_configs();

/// `file` as it is named; where there is no such file and the name begins with configs/, the one that came with the
/// program, so that `configs/scenarios/sora-2024.toml` works in any folder.
std::filesystem::path shipped_file(const std::filesystem::path& file);

}  // namespace gpumonth
