// What data-parallel communication costs a rank whose communication thread has no core of its own.
//
//   mpirun -n 2 --bind-to none ./bench_overlap [--mib 520] [--bucket-mib 4] [--steps 5] [--work-s 2.0]
//          [--private] [--ring] [--blocking-mpi]
//
// Every rank computes on its main thread (a product of small matrices that stays in the L1 cache, a fixed
// amount of it) and declares a gradient segment after each part. Steps with communication and steps without
// take turns; what is reported is the difference of their times. --private: gradients are not in shared
// memory; --ring: MPI messages even on one host; --blocking-mpi: MPI_Allreduce per bucket, for comparison.
#include <fmt/format.h>
#include <mpi.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <string>

#include "comm/host/host_transport.h"
#include "comm/host/self_communicator.h"
#include "comm/host/thread_reducer.h"
#include "comm/launch.h"

namespace {

using namespace gpumonth::comm;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// CPU time of all threads of this process: where other programs share the cores, what communication costs.
double cpu_s() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Multiplies 64 x 64 matrices `times` times; the result keeps the compiler from dropping it.
float compute(int times) {
  constexpr int n = 64;
  static std::array<float, n * n> a, b, c;
  a.fill(1e-3f);
  b.fill(1e-3f);
  for (int t = 0; t < times; ++t) {
    for (int i = 0; i < n; ++i) {
      for (int k = 0; k < n; ++k) {
        const float x = a[i * n + k];
        for (int j = 0; j < n; ++j) c[i * n + j] += x * b[k * n + j];
      }
    }
  }
  return c[5];
}

int calibrate(double seconds) {
  const double start = now_s();
  volatile float sink = compute(2000);
  (void)sink;
  return std::max(1, static_cast<int>(2000 * seconds / (now_s() - start)));
}

/// Open MPI's own blocking collective in place of ours.
class BlockingMpi final : public SelfCommunicator {
 public:
  int rank() const override { return ask(MPI_Comm_rank); }
  int size() const override { return ask(MPI_Comm_size); }
  std::string description() const override { return "MPI_Allreduce"; }
  void all_reduce_sum(std::span<float> v) override {
    MPI_Allreduce(MPI_IN_PLACE, v.data(), static_cast<int>(v.size()), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  }
  void all_reduce_sum(std::span<double> v) override {
    MPI_Allreduce(MPI_IN_PLACE, v.data(), static_cast<int>(v.size()), MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  }
  void barrier() override { MPI_Barrier(MPI_COMM_WORLD); }
  std::unique_ptr<Communicator> duplicate(const char*) override { return std::make_unique<BlockingMpi>(); }

 private:
  static int ask(int (*function)(MPI_Comm, int*)) {
    int value = 0;
    function(MPI_COMM_WORLD, &value);
    return value;
  }
};

struct Options {
  double mib = 520, bucket_mib = 4, work_s = 2.0;
  int steps = 5, segments = 60;
  bool private_memory = false, ring = false, blocking_mpi = false;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::atof(argv[++i]) : 0.0; };
    if (name == "--mib")
      o.mib = value();
    else if (name == "--bucket-mib")
      o.bucket_mib = value();
    else if (name == "--steps")
      o.steps = static_cast<int>(value());
    else if (name == "--work-s")
      o.work_s = value();
    else if (name == "--private")
      o.private_memory = true;
    else if (name == "--ring")
      o.ring = true;
    else if (name == "--blocking-mpi")
      o.blocking_mpi = true;
    else
      fail("unknown option " + name, 2);
  }
  return o;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  Environment environment;
  std::unique_ptr<Transport> transport = environment.make_transport({.transport = "mpi", .watchdog_s = 60});
  if (o.ring) transport = std::make_unique<MpiTransport>(60.0, false);
  if (o.blocking_mpi) transport = std::make_unique<HostTransport>("mpi", std::make_unique<BlockingMpi>());
  Communicator& ranks = transport->ranks();

  const auto count = static_cast<std::int64_t>(o.mib * (1 << 20) / 4) / (o.segments * 16) * (o.segments * 16);
  const std::shared_ptr<float[]> gradients = o.private_memory ? allocate_private(count) : transport->allocate(count);
  std::fill_n(gradients.get(), count, 1.0f);
  std::vector<Segment> segments;
  for (int s = 0; s < o.segments; ++s) segments.push_back({count / o.segments * s, count / o.segments});
  ThreadReducer reducer(*transport, gradients.get(), segments, static_cast<std::int64_t>(o.bucket_mib * (1 << 20)));

  ranks.barrier();
  const int part = calibrate(o.work_s / o.segments);
  std::vector<double> with, without, cpu_with, cpu_without, exposed, inside;
  for (int step = 0; step < 2 * o.steps + 2; ++step) {
    const bool communicates = step % 2 == 0;
    ranks.barrier();
    const double start = now_s(), cpu_start = cpu_s();
    if (communicates) {
      reducer.begin_step(step);
      reducer.begin_backward();
    }
    for (int s = 0; s < o.segments; ++s) {
      volatile float sink = compute(part);
      (void)sink;
      if (communicates) reducer.ready(s);
    }
    if (communicates) reducer.wait();
    const double took = now_s() - start, cpu = cpu_s() - cpu_start;
    if (step < 2) continue;  // page faults
    const StepCommunication cost = communicates ? reducer.finish() : StepCommunication{};
    (communicates ? with : without).push_back(took);
    (communicates ? cpu_with : cpu_without).push_back(cpu);
    if (communicates) exposed.push_back(cost.exposed_s);
    if (communicates) inside.push_back(cost.comm_s);
  }
  if (ranks.rank() == 0) {
    fmt::print(
        "{}: {:.0f} MiB in {} buckets, compute {:.3f} s, with communication {:.3f} s: {:+.1f} % (CPU time "
        "{:+.1f} %), exposed {:.4f} s, in collectives {:.3f} s\n",
        ranks.description(), static_cast<double>(count) * 4 / (1 << 20), reducer.buckets().size(), median(without),
        median(with), 100 * (median(with) / median(without) - 1), 100 * (median(cpu_with) / median(cpu_without) - 1),
        median(exposed), median(inside));
  }
}
