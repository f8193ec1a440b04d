#include "base/crc32.h"

#include <fmt/format.h>
#include <zlib.h>

#include <fstream>
#include <vector>

#include "base/error.h"

namespace gpumonth {

std::uint32_t crc32_of(const void* bytes, std::size_t size, std::uint32_t before) {
  return static_cast<std::uint32_t>(crc32_z(before, static_cast<const unsigned char*>(bytes), size));
}

std::uint32_t crc32_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> block(std::size_t{1} << 20);
  std::uint32_t sum = 0;
  while (file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    sum = crc32_of(block.data(), static_cast<std::size_t>(file.gcount()), sum);
  }
  if (!file.eof()) user_error("{}: cannot be read to its end", path.string());
  return sum;
}

std::string crc32_text(std::uint32_t value) { return fmt::format("{:08x}", value); }

}  // namespace gpumonth
