// Whether the numbers of a tensor can be training state, and whether they are those that were written.
#pragma once

#include <span>
#include <string>

namespace gpumonth::trainer {

/// Attribute of each dataset of a checkpoint: zlib's CRC-32 of the values as little-endian float32 in row-major order,
/// eight hexadecimal digits. In Python: f"{zlib.crc32(dataset[...]):08x}".
constexpr const char* kChecksumAttribute = "crc32";

std::string crc32(std::span<const float> values);

/// "NaN (element 3)" or "infinity (element 3)" for the first value that is not finite, "-0.5 (element 3)" for the first
/// below zero where `non_negative`; empty: there is none.
std::string bad_value(std::span<const float> values, bool non_negative = false);

}  // namespace gpumonth::trainer
