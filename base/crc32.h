// Checksums of what is stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace gpumonth {

/// zlib's CRC-32, going on from what came before.
std::uint32_t crc32_of(const void* bytes, std::size_t size, std::uint32_t before = 0);
/// Of a file's bytes. UserError where it cannot be read to its end.
std::uint32_t crc32_of_file(const std::filesystem::path& path);
/// Eight hexadecimal digits.
std::string crc32_text(std::uint32_t value);

}  // namespace gpumonth
