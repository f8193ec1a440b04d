#include <charconv>

#include "base/error.h"
#include "base/number_text.h"
#include "cli/commands.h"

namespace gpumonth::cli {
namespace {

constexpr std::int64_t kMostGpus = 10'000'000;

}  // namespace

std::vector<std::int64_t> parse_gpus(const std::string& text, const std::string& option) {
  std::vector<std::int64_t> numbers;
  if (text.empty()) return numbers;
  for (const auto item : split_list(text, option)) {
    std::int64_t n = 0;
    const auto [rest, error] = std::from_chars(item.data(), item.data() + item.size(), n);
    if (error != std::errc{} || rest != item.data() + item.size() || n < 1 || n > kMostGpus)
      user_error("{} {}: '{}' is not a number of GPUs: give whole numbers from 1 to {:d}, as in {} 512,1024", option,
                 text, item, kMostGpus, option);
    numbers.push_back(n);
  }
  return numbers;
}

}  // namespace gpumonth::cli
