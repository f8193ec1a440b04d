// An RGB picture, and its PNG: png.cpp where libpng was found, png_stub.cpp elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gpumonth::trainer {

struct Picture {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  ///< (height, width, 3)
};

/// UserError where this program was built without libpng: what to install, or how to do without. Before the work.
void require_png();
/// The bytes of a PNG file, 8 bits a channel.
std::string to_png(const Picture& picture);

}  // namespace gpumonth::trainer
