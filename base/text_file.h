#pragma once

#include <filesystem>
#include <string>

namespace gpumonth {

/// Throws UserError where `file` may not be written: it exists and `force` is off, it is a folder, or its
/// folder does not exist. Called before the work, so that a mistake costs no time.
void check_output(const std::filesystem::path& file, bool force);

/// Every byte of a file. Throws UserError, behind `prefix`: no such file, a folder, an I/O error, with the system's reason.
std::string read_bytes(const std::filesystem::path& file, const std::string& prefix = "");

/// The same; nothing where it cannot be read, which the caller asks where it matters.
std::string bytes_of_file(const std::filesystem::path& file);

/// Writes `text`, cleaned (base/clean_text.h), to a temporary file beside `file`, syncs, renames: `file` is
/// whole or as it was. Into a device or a pipe (/dev/stdout) it is written as it goes. Throws UserError (full disk,
/// unwritable folder) and leaves nothing behind.
void write_text_file(const std::filesystem::path& file, const std::string& text, bool force);

/// The same for bytes that are no text: as they are.
void write_bytes_file(const std::filesystem::path& file, const std::string& bytes, bool force);

}  // namespace gpumonth
