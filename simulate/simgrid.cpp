// The program that runs on SimGrid's engine: an actor that computes for each rank, and one that communicates for each
// host, as the trainer's two threads (comm/host/thread_reducer.cpp). The ranks of a host send and wait alike, so one
// speaks for them, and what they send is one representative flow: an actor's turn costs 4 to 16 us, and with one more for
// each rank and bucket 16,384 ranks took minutes.
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <climits>
#include <stdexcept>

#include "simulate/all_reduce.h"
#include "simulate/child_process.h"
#include "simulate/simgrid_platform.h"
#include "simulate/simulation.h"

namespace gpumonth::simulate {
namespace {

namespace sg4 = simgrid::s4u;
namespace actor = simgrid::s4u::this_actor;

// No model of TCP over a WAN (LV08's factors reach 13 x), times to a nanosecond instead of 10 us, and stacks without guard
// pages: each would be a mapping, and Linux gives a process 65,530 of them.
constexpr std::array kArguments{
    "gpumonth",
    "--log=root.thres:error",
    "--cfg=network/model:CM02",
    "--cfg=network/TCP-gamma:0",
    "--cfg=network/crosstraffic:0",
    "--cfg=surf/precision:1e-9",
    "--cfg=contexts/factory:raw",
    "--cfg=contexts/stack-size:64",
    "--cfg=contexts/guard-size:0",
};

double now_s() { return sg4::Engine::get_clock(); }

void wait_until(double time_s) {
  if (time_s > now_s()) actor::sleep_until(time_s);
}

/// A collective. Nothing else is on a GPU's link inside its host, so its bytes there are waited for.
struct Flows {
  double latency_s = 0, inside_s = 0, between_bytes = 0;
  bool at_once = true;
};

Flows flows_of(const Cluster& cluster, const Traffic& t, double bytes) {
  return {t.inside_hops * cluster.inside.latency.value + t.between_hops * cluster.between.latency.value,
          t.inside_share * bytes / cluster.inside.bytes_per_s(), t.between_share * bytes, t.at_once};
}

/// Of two collectives in one group, as NCCL runs them: latencies pass at the same time, bytes share the links.
Flows together(const Flows& a, const Flows& b) {
  return {std::max(a.latency_s, b.latency_s), a.inside_s + b.inside_s, a.between_bytes + b.between_bytes, a.at_once};
}

Flows bucket_flows(const Job& job, std::size_t bucket) {
  const auto bytes = static_cast<double>(job.bucket_bytes[bucket]);
  const double scattered = job.sharding ? job.sharding->scattered_bytes[bucket] : 0, summed = bytes - scattered;
  const Flows all = flows_of(job.cluster, choose_traffic(job.cluster, job.shape, summed), summed);
  if (!(scattered > 0)) return all;
  const Flows share = flows_of(job.cluster, half_traffic(job.cluster.algorithm, job.shape), scattered);
  return summed > 0 ? together(share, all) : share;
}

Flows gather_flows(const Job& job) {
  const Sharding& s = *job.sharding;
  const Flows shares = flows_of(job.cluster, half_traffic(job.cluster.algorithm, job.shape), s.gathered_bytes);
  const Flows rest = flows_of(job.cluster, broadcast_traffic(job.shape), s.broadcast_bytes);
  return s.broadcast_bytes > 0 ? together(shares, rest) : shares;
}

class Program {
 public:
  explicit Program(const Job& job)
      : job_(job), hosts_(make_platform(job.cluster, job.shape)), ranks_(job.shape.ranks()),
        small_collective_s_(small_collective_s(job.cluster, job.shape)), launch_(barrier(job.shape.hosts)),
        arrived_(barrier(ranks_ + job.shape.hosts)), updated_(barrier(ranks_ + job.shape.hosts)),
        gathered_(barrier(ranks_ + job.shape.hosts)), step_end_(barrier(ranks_)) {
    for (std::size_t b = 0; b < job.bucket_bytes.size(); ++b) flows_.push_back(bucket_flows(job, b));
    const bool communicates = ranks_ > 1 && !flows_.empty();
    sharded_ = communicates && job.sharding;
    if (sharded_) gather_ = gather_flows(job);
    seen_.resize(job.steps.size());
    for (SimulatedStep& step : seen_) step.buckets.resize(communicates ? flows_.size() : 0);
    for (int r = 0; r < ranks_; ++r)
      sg4::Actor::create("compute", hosts_[host_of(r)], [this, r, communicates] { compute(r, communicates); });
    for (std::size_t h = 0; communicates && h < hosts_.size(); ++h) {
      handed_over_.push_back(sg4::Semaphore::create(0));
      mailboxes_.push_back(sg4::Mailbox::by_name(hosts_[h]->get_name()));
      sg4::Actor::create("communicate", hosts_[h], [this, h] { communicate(h); });
    }
    last_ready_s_.assign(flows_.size(), 0);
  }

  const std::vector<SimulatedStep>& seen() const { return seen_; }

 private:
  static sg4::BarrierPtr barrier(int actors) { return sg4::Barrier::create(static_cast<unsigned>(actors)); }
  std::size_t host_of(int rank) const { return static_cast<std::size_t>(rank / job_.shape.gpus_per_host); }

  // ---- the computing actor of a rank ----

  void compute(int rank, bool communicates) {
    for (std::size_t s = 0; s < job_.steps.size(); ++s) {
      const WorkStep& work = job_.steps[s];
      const double factor = job_.factors[s * static_cast<std::size_t>(ranks_) + static_cast<std::size_t>(rank)];
      SimulatedStep unseen;
      SimulatedStep& step = rank == 0 ? seen_[s] : unseen;
      step.begin_s = now_s();
      wait_until(step.begin_s + factor * (work.data_s + work.forward_s));
      const double backward_s = now_s();
      if (communicates) hand_over(rank, s, backward_s, factor);
      wait_until(backward_s + factor * work.backward_s);
      step.backward_end_s = now_s();
      if (communicates) arrived_->wait();
      step.buckets_end_s = now_s();
      wait_until(step.buckets_end_s + (sharded_ ? job_.sharding->norm_s : 0) + factor * work.optimizer_s);
      step.update_end_s = now_s();
      if (sharded_) {
        updated_->wait();
        gathered_->wait();
      }
      step.gathered_s = now_s();
      if (ranks_ > 1) step_end_->wait();
      wait_until(now_s() + small_collective_s_);
      step.agreed_s = now_s();
      wait_until(step.agreed_s + work.other_s);
      step.end_s = now_s();
    }
  }

  /// When backward begins it is known when its buckets will be ready. The actors run one at a time, and every step is
  /// later than the one before.
  void hand_over(int rank, std::size_t step, double backward_s, double factor) {
    for (std::size_t b = 0; b < last_ready_s_.size(); ++b) {
      const double ready_s = backward_s + factor * job_.steps[step].ready_s[b];
      last_ready_s_[b] = std::max(last_ready_s_[b], ready_s);
      if (rank == 0) seen_[step].buckets[b].ready_s = ready_s;
    }
    handed_over_[host_of(rank)]->release();
  }

  // ---- the communicating actor of a host ----

  void communicate(std::size_t host) {
    for (SimulatedStep& step : seen_) {
      for (int r = 0; r < job_.shape.gpus_per_host; ++r) handed_over_[host]->acquire();
      for (std::size_t b = 0; b < flows_.size(); ++b) {
        launch_->wait();  // the bucket before has arrived everywhere; before the first, all have begun backward
        pass(flows_[b], std::max(now_s(), last_ready_s_[b]), host);
        step.buckets[b].end_s = std::max(step.buckets[b].end_s, now_s());
      }
      arrived_->wait();
      if (host == 0) note_starts(step);
      if (!sharded_) continue;
      updated_->wait();
      pass(gather_, now_s(), host);
      gathered_->wait();
    }
  }

  /// Rank 0 is in an all-reduce from when it is ready, though others are not.
  static void note_starts(SimulatedStep& step) {
    double end_s = 0;
    for (auto& bucket : step.buckets) {
      bucket.start_s = std::max(bucket.ready_s, end_s);
      end_s = bucket.end_s;
    }
  }

  /// A ring goes no faster than its last rank, so it begins when that is ready.
  void pass(const Flows& flows, double begin_s, std::size_t host) {
    wait_until(begin_s + flows.latency_s);
    if (flows.at_once) {
      const double inside_end_s = now_s() + flows.inside_s;
      exchange(host, flows.between_bytes);
      wait_until(inside_end_s);
      return;
    }
    wait_until(now_s() + flows.inside_s / 2);
    exchange(host, flows.between_bytes);
    wait_until(now_s() + flows.inside_s / 2);
  }

  /// To the next host of the ring, from the one before. By mailboxes: SimGrid 3.32 looks for a host-to-host flow that has
  /// ended among all that are on their way, which took half of the time with 2,048 hosts.
  void exchange(std::size_t host, double whole_bytes) {
    const auto bytes = static_cast<std::uint64_t>(whole_bytes + 0.5);
    if (bytes == 0) return;
    const sg4::CommPtr sent = mailboxes_[(host + 1) % hosts_.size()]->put_async(&payload_, bytes);
    mailboxes_[host]->get<char>();
    sent->wait();
  }

  const Job& job_;
  std::vector<sg4::Host*> hosts_;
  int ranks_;
  double small_collective_s_;
  sg4::BarrierPtr launch_, arrived_, updated_, gathered_, step_end_;
  std::vector<Flows> flows_;                    // of each bucket
  Flows gather_;                                // of the parameters, where
  bool sharded_ = false;                        // the update is shared out
  std::vector<sg4::SemaphorePtr> handed_over_;  // by host: one for each of its ranks whose backward began
  std::vector<sg4::Mailbox*> mailboxes_;        // by host
  char payload_ = 0;                            // what is sent; nobody looks at it
  std::vector<double> last_ready_s_;            // of each bucket, on the last of all ranks
  std::vector<SimulatedStep> seen_;             // of rank 0
};

std::vector<double> to_numbers(const std::vector<SimulatedStep>& steps) {
  std::vector<double> numbers;
  for (const SimulatedStep& s : steps) {
    numbers.insert(numbers.end(),
                   {s.begin_s, s.backward_end_s, s.buckets_end_s, s.update_end_s, s.gathered_s, s.agreed_s, s.end_s});
    for (const auto& b : s.buckets) numbers.insert(numbers.end(), {b.ready_s, b.start_s, b.end_s});
  }
  return numbers;
}

std::vector<SimulatedStep> from_numbers(const std::vector<double>& numbers, std::size_t steps) {
  const std::size_t each = numbers.size() / steps;
  std::vector<SimulatedStep> all;
  for (std::size_t s = 0; s < steps; ++s) {
    const double* n = &numbers[s * each];
    SimulatedStep& step = all.emplace_back(SimulatedStep{n[0], n[1], n[2], n[3], n[4], n[5], n[6], {}});
    for (std::size_t i = 7; i < each; i += 3) step.buckets.push_back({n[i], n[i + 1], n[i + 2]});
  }
  return all;
}

std::vector<double> run(const Job& job) {
  std::array<char*, kArguments.size()> argv;
  std::transform(kArguments.begin(), kArguments.end(), argv.begin(),
                 [](const char* a) { return const_cast<char*>(a); });
  int argc = static_cast<int>(argv.size());
  // Stacks as mappings of their own: only what is touched of them takes memory.
  mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  mallopt(M_MMAP_MAX, INT_MAX);
  auto* engine = new sg4::Engine(&argc, argv.data());  // never destroyed: the process ends
  Program program(job);
  engine->run();
  if (program.seen().back().end_s <= 0) throw std::runtime_error("the simulation ended before its last step");
  return to_numbers(program.seen());
}

void check(const Job& job) {
  if (job.steps.empty()) throw std::invalid_argument("a simulation without steps");
  if (job.factors.size() != job.steps.size() * static_cast<std::size_t>(job.shape.ranks()))
    throw std::invalid_argument("a simulation needs one factor for each step and rank");
  for (const WorkStep& step : job.steps)
    if (step.ready_s.size() != job.bucket_bytes.size())
      throw std::invalid_argument("a simulated step needs one ready time for each bucket");
  if (job.sharding && job.sharding->scattered_bytes.size() != job.bucket_bytes.size())
    throw std::invalid_argument("a sharded simulation needs the scattered bytes of each bucket");
}

}  // namespace

std::string simulator_name() { return "SimGrid " GPUMONTH_SIMGRID_VERSION; }

void require_simulator() {}

Outcome simulate(const Job& job) {
  check(job);
  const ChildResult result = run_in_child([&] { return run(job); });
  return {from_numbers(result.values, job.steps.size()), result.wall_s, result.peak_bytes};
}

}  // namespace gpumonth::simulate
