#include "comm/timed_collective.h"

#include <algorithm>
#include <chrono>

#include "comm/transport.h"

namespace gpumonth::comm {
namespace {

class HostTimed final : public TimedCollective {
 public:
  HostTimed(Transport& transport, const Collective& operation, std::int64_t count)
      : ranks_(transport.ranks()), operation_(operation), received_(transport.allocate(count)),
        sent_(operation.in_place ? received_ : transport.allocate(count)) {}

  void write(std::span<const float> values) override { std::copy(values.begin(), values.end(), sent_.get()); }
  void read(std::span<float> values) override { std::copy_n(received_.get(), values.size(), values.begin()); }
  void clear(std::int64_t count) override {
    std::fill_n(sent_.get(), count, 0.0f);
    if (!operation_.in_place) std::fill_n(received_.get(), count, 0.0f);
  }

  std::vector<double> run(std::int64_t count, int repeats) override {
    const CollectiveBuffers buffers{received_.get(), sent_.get(), count, ranks_.rank(), ranks_.size()};
    std::vector<double> took_s(static_cast<std::size_t>(repeats));
    auto last = std::chrono::steady_clock::now();
    for (double& s : took_s) {
      operation_.on_host(ranks_, buffers);
      const auto now = std::chrono::steady_clock::now();
      s = std::chrono::duration<double>(now - last).count();
      last = now;
    }
    return took_s;
  }

  std::string clock() const override { return "host clock"; }

 private:
  Communicator& ranks_;
  const Collective& operation_;
  std::shared_ptr<float[]> received_, sent_;
};

}  // namespace

std::unique_ptr<TimedCollective> make_host_timed(Transport& transport, const Collective& operation,
                                                 std::int64_t count) {
  return std::make_unique<HostTimed>(transport, operation, count);
}

}  // namespace gpumonth::comm
