#include "comm/timed_all_reduce.h"

#include <algorithm>
#include <chrono>

#include "comm/communicator.h"

namespace gpumonth::comm {
namespace {

class HostAllReduce final : public TimedAllReduce {
 public:
  HostAllReduce(Communicator& communicator, std::int64_t count)
      : communicator_(communicator), memory_(communicator.allocate(count)) {}

  void write(std::span<const float> values) override { std::copy(values.begin(), values.end(), memory_.get()); }
  void read(std::span<float> values) override { std::copy_n(memory_.get(), values.size(), values.begin()); }
  void clear(std::int64_t count) override { std::fill_n(memory_.get(), count, 0.0f); }

  std::vector<double> run(std::int64_t count, int repeats) override {
    const std::span<float> values(memory_.get(), static_cast<std::size_t>(count));
    std::vector<double> took_s(static_cast<std::size_t>(repeats));
    auto last = std::chrono::steady_clock::now();
    for (double& s : took_s) {
      communicator_.all_reduce_sum(values);
      const auto now = std::chrono::steady_clock::now();
      s = std::chrono::duration<double>(now - last).count();
      last = now;
    }
    return took_s;
  }

  std::string clock() const override { return "host clock"; }

 private:
  Communicator& communicator_;
  std::shared_ptr<float[]> memory_;
};

}  // namespace

std::unique_ptr<TimedAllReduce> Communicator::make_timed_all_reduce(std::int64_t count) {
  return std::make_unique<HostAllReduce>(*this, count);
}

}  // namespace gpumonth::comm
