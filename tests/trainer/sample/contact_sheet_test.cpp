#include "trainer/sample/contact_sheet.h"

#include <png.h>

#include <numeric>

#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::trainer;

namespace {

model::ModelConfig latents(int channels, int size, int frames = 1) {
  model::ModelConfig m;
  m.in_channels = channels;
  m.input_size = size;
  m.frames = frames;
  return m;
}

std::vector<int> pixel(const Picture& p, int x, int y) {
  const std::size_t at =
      (static_cast<std::size_t>(y) * static_cast<std::size_t>(p.width) + static_cast<std::size_t>(x)) * 3;
  return {p.rgb[at], p.rgb[at + 1], p.rgb[at + 2]};
}

TEST_CASE("images stand in a square of rows, enlarged, their first three channels as colours") {
  // Five images of 2 x 2 pixels and four channels: red rises from image to image, green falls, blue is flat.
  const auto m = latents(4, 2);
  std::vector<float> samples;
  for (int n = 0; n < 5; ++n)
    for (const float value : {static_cast<float>(n), static_cast<float>(-n), 7.0f, 1e6f * static_cast<float>(n)})
      samples.insert(samples.end(), 4, value);
  const Picture sheet = contact_sheet(samples, m);
  CHECK(sheet.width == 2 + 3 * 66);  // 64 pixels and a gap of 2, three beside each other
  CHECK(sheet.height == 2 + 2 * 66);
  CHECK(pixel(sheet, 0, 0) == std::vector<int>{32, 32, 32});
  CHECK(pixel(sheet, 2, 2) == std::vector<int>{0, 255, 128});
  CHECK(pixel(sheet, 2 + 2 * 66, 2) == std::vector<int>{128, 128, 128});  // the third of five, rounded up
  CHECK(pixel(sheet, 2 + 66 + 63, 2 + 66 + 63) ==
        std::vector<int>{255, 0, 128});                                     // the fifth: second row, second column
  CHECK(pixel(sheet, 2 + 2 * 66, 2 + 66) == std::vector<int>{32, 32, 32});  // there is no sixth
}

TEST_CASE("clips are rows of frames, and one channel is grey") {
  const auto m = latents(1, 1, 3);
  const Picture sheet = contact_sheet(std::vector<float>{0, 1, 2, 3, 4, 5}, m);
  CHECK(sheet.width == 2 + 3 * 66);
  CHECK(sheet.height == 2 + 2 * 66);
  // From the 1st to the 99th percentile of 0 .. 5, which lie at 0.05 and 4.95.
  CHECK(pixel(sheet, 2, 2) == std::vector<int>{0, 0, 0});
  CHECK(pixel(sheet, 2 + 66, 2) == std::vector<int>(3, 49));   // 255 x 0.95 / 4.9 = 49.4
  CHECK(pixel(sheet, 2, 2 + 66) == std::vector<int>(3, 154));  // 255 x 2.95 / 4.9 = 153.5
  CHECK(pixel(sheet, 2 + 2 * 66, 2 + 66) == std::vector<int>(3, 255));
}

TEST_CASE("frames of a clip lie channel by channel") {
  const auto m = latents(3, 1, 2);  // (C, F): red 0 1, green 1 0, blue 0 0
  const Picture sheet = contact_sheet(std::vector<float>{0, 1, 1, 0, 0, 0}, m);
  CHECK(pixel(sheet, 2, 2) == std::vector<int>{0, 255, 128});
  CHECK(pixel(sheet, 2 + 66, 2) == std::vector<int>{255, 0, 128});
}

TEST_CASE("more samples than a sheet holds are left out") {
  const auto m = latents(1, 64);
  const Picture sheet = contact_sheet(std::vector<float>(70 * 64 * 64, 0.5f), m);
  CHECK(sheet.width == 2 + 8 * 66);
  CHECK(sheet.height == sheet.width);
}

TEST_CASE("a PNG is the picture, as libpng reads it") {
  Picture picture{3, 2, std::vector<std::uint8_t>(18)};
  std::iota(picture.rgb.begin(), picture.rgb.end(), std::uint8_t{40});
  const std::string bytes = to_png(picture);
  CHECK(bytes.substr(0, 8) == "\x89PNG\r\n\x1a\n");
  CHECK(bytes.substr(16, 10) == std::string("\0\0\0\3\0\0\0\2\x08\2", 10));  // width, height, 8 bits, RGB
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) != 0);
  image.format = PNG_FORMAT_RGB;
  std::vector<std::uint8_t> read(PNG_IMAGE_SIZE(image));
  REQUIRE(png_image_finish_read(&image, nullptr, read.data(), 0, nullptr) != 0);
  CHECK(read == picture.rgb);
}

}  // namespace
