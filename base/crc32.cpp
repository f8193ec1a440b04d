#include "base/crc32.h"

#include <fmt/format.h>
#include <zlib.h>

namespace gpumonth {

std::uint32_t crc32_of(const void* bytes, std::size_t size, std::uint32_t before) {
  return static_cast<std::uint32_t>(crc32_z(before, static_cast<const unsigned char*>(bytes), size));
}

std::string crc32_text(std::uint32_t value) { return fmt::format("{:08x}", value); }

}  // namespace gpumonth
