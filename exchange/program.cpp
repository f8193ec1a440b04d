// What a simulator runs for one rank in one step.
#include <algorithm>
#include <limits>

#include "exchange/operations.h"

namespace gpumonth::exchange {
namespace {

bool is_busy_time(Kind kind) {
  return kind == Kind::data || kind == Kind::forward || kind == Kind::backward || kind == Kind::optimizer;
}

class ProgramBuilder {
 public:
  ProgramBuilder(int rank, double stretch, std::vector<Operation> collectives)
      : rank_(rank), stretch_(stretch), collectives_(std::move(collectives)) {}

  void add_compute(Operation operation) {
    if (operation.kind == Kind::backward) {
      // a bucket that became ready together with one before it has no piece of its own
      if (operation.bucket >= 0) add_collectives_to(operation.bucket - 1);
    } else if (operation.kind == Kind::optimizer || operation.kind == Kind::other) {
      wait_for_collectives();
    }
    if (is_busy_time(operation.kind)) operation.duration_s *= stretch_;
    last_compute_ = {push(operation, last_compute_, {})};
    if (operation.kind == Kind::backward && operation.bucket >= 0) add_collectives_to(operation.bucket);
  }

  std::vector<ProgramOperation> finish(const Operation& end) {
    if (!waited_) add_compute(end);  // nothing of the step's time is left behind backward
    return std::move(list_);
  }

 private:
  std::size_t push(Operation operation, std::vector<std::size_t> data, std::vector<std::size_t> order) {
    operation.rank = rank_;
    if (rank_ > 0) operation.source = Source::scaled;
    list_.push_back({operation, std::move(data), std::move(order)});
    return list_.size() - 1;
  }

  void add_collectives_to(int bucket) {
    for (; next_ < collectives_.size() && collectives_[next_].bucket <= bucket; ++next_)
      last_collective_ = {push(collectives_[next_], last_compute_, last_collective_)};
  }

  void wait_for_collectives() {
    if (waited_) return;
    waited_ = true;
    add_collectives_to(std::numeric_limits<int>::max());
    last_compute_.insert(last_compute_.end(), last_collective_.begin(), last_collective_.end());
  }

  int rank_;
  double stretch_;
  std::vector<Operation> collectives_;
  std::size_t next_ = 0;  // of these
  std::vector<ProgramOperation> list_;
  std::vector<std::size_t> last_compute_, last_collective_;
  bool waited_ = false;
};

}  // namespace

std::vector<ProgramOperation> Timeline::program(const runlog::StepRecord& step, int rank) const {
  std::vector<Operation> collectives;
  add_buckets(step, collectives);
  std::erase_if(collectives, [](const Operation& o) { return o.kind != Kind::collective; });
  ProgramBuilder program(rank, stretch(step, rank), std::move(collectives));
  for (const Operation& operation : compute_of_rank_0(step))
    if (operation.kind != Kind::wait) program.add_compute(operation);
  return program.finish({.step = step.step, .start_s = step.start_time_s + step.step_time_s});
}

}  // namespace gpumonth::exchange
