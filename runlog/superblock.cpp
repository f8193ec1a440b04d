#include "runlog/superblock.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace gpumonth::runlog {

namespace {

// HDF5 File Format Specification 3.0, II.A, superblock version 3 with 8-byte offsets and lengths: signature
// (8), version, size of offsets, size of lengths, consistency flags (1 each), base, extension, end of file
// and root addresses (8 each), checksum (4). All little endian.
constexpr std::size_t kFlags = 11, kChecksum = 44, kSize = 48;
constexpr std::array<std::uint8_t, 11> kStart = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 3, 8, 8};
constexpr std::uint8_t kWriteAccess = 0x01, kSwmrWriteAccess = 0x04;

using Superblock = std::array<std::uint8_t, kSize>;

std::uint32_t load_u32(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
         std::uint32_t{bytes[3]} << 24;
}

/// Bob Jenkins' lookup3 (public domain, 2006), hashlittle() with initval 0: the checksum of HDF5 metadata.
/// This short form is for lengths of 12 k + 8 bytes, of which the superblock's 44 are one.
std::uint32_t lookup3(const std::uint8_t* key, std::size_t length) {
  using std::rotl;
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(length), b = a, c = a;
  for (; length > 12; key += 12, length -= 12) {
    a += load_u32(key);
    b += load_u32(key + 4);
    c += load_u32(key + 8);
    a = (a - c) ^ rotl(c, 4), c += b;
    b = (b - a) ^ rotl(a, 6), a += c;
    c = (c - b) ^ rotl(b, 8), b += a;
    a = (a - c) ^ rotl(c, 16), c += b;
    b = (b - a) ^ rotl(a, 19), a += c;
    c = (c - b) ^ rotl(b, 4), b += a;
  }
  a += load_u32(key);
  b += load_u32(key + 4);
  c = (c ^ b) - rotl(b, 14);
  a = (a ^ c) - rotl(c, 11);
  b = (b ^ a) - rotl(a, 25);
  c = (c ^ b) - rotl(b, 16);
  a = (a ^ c) - rotl(c, 4);
  b = (b ^ a) - rotl(a, 14);
  c = (c ^ b) - rotl(b, 24);
  return c;
}

}  // namespace

bool clear_writer_flags(int descriptor) {
  Superblock block{};
  if (::pread(descriptor, block.data(), kSize, 0) != static_cast<ssize_t>(kSize)) return false;
  if (std::memcmp(block.data(), kStart.data(), kStart.size()) != 0) return false;
  constexpr auto flags = static_cast<std::uint8_t>(kWriteAccess | kSwmrWriteAccess);
  if ((block[kFlags] & flags) == 0) return false;
  // If our checksum of what the library wrote is not the library's, the layout is not what we think.
  if (lookup3(block.data(), kChecksum) != load_u32(block.data() + kChecksum)) return false;
  block[kFlags] = static_cast<std::uint8_t>(block[kFlags] & ~flags);
  const std::uint32_t checksum = lookup3(block.data(), kChecksum);
  for (std::size_t i = 0; i < 4; ++i) block[kChecksum + i] = static_cast<std::uint8_t>(checksum >> (8 * i));
  return ::pwrite(descriptor, block.data(), kSize, 0) == static_cast<ssize_t>(kSize);
}

}  // namespace gpumonth::runlog
