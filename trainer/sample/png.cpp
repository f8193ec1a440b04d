#include <png.h>

#include <stdexcept>

#include "trainer/sample/picture.h"

namespace gpumonth::trainer {

void require_png() {}

std::string to_png(const Picture& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  const auto write = [&](void* to) {
    if (png_image_write_to_memory(&image, to, &size, 0, picture.rgb.data(), 0, nullptr) == 0)
      throw std::runtime_error(std::string("png_image_write_to_memory: ") + image.message);
  };
  write(nullptr);  // how long it will be
  std::string bytes(size, '\0');
  write(bytes.data());
  bytes.resize(size);
  return bytes;
}

}  // namespace gpumonth::trainer
