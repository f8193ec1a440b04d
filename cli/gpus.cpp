#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "cli/commands.h"

namespace gpumonth::cli {
namespace {

constexpr std::int64_t kMostGpus = 10'000'000;

}  // namespace

std::vector<std::int64_t> parse_gpus(const std::string& text) {
  std::vector<std::int64_t> numbers;
  if (text.empty()) return numbers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::int64_t n = 0;
    const auto [rest, error] = std::from_chars(text.data() + begin, text.data() + end, n);
    if (error != std::errc{} || rest != text.data() + end || n < 1 || n > kMostGpus)
      user_error(
          "--gpus {}: '{}' is not a number of GPUs: give whole numbers from 1 to {:d}, as in --gpus 512,1024",
          text, text.substr(begin, end - begin), kMostGpus);
    numbers.push_back(n);
    begin = end + 1;
  }
  return numbers;
}

}  // namespace gpumonth::cli
