// The program that runs on SimGrid's engine: an actor that computes for each rank, and one that communicates for all of them,
// as the trainer's two threads (comm/host/thread_reducer.cpp); full sharding's steps are added up (full_sharding.h). A collective begins on all hosts at once, when the last rank
// is ready, so what it takes between them depends on its bytes alone: before the first step an actor for each host sends
// every number of bytes once, over links that they share, and whenever a collective sends as much it takes as long. The
// ranks of a host send alike, so one representative flow is theirs. (With all hosts sending every bucket of every step
// 16,384 ranks and 640 buckets took eleven minutes.)
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <climits>
#include <map>
#include <stdexcept>

#include "model/gradient_segments.h"
#include "simulate/all_reduce.h"
#include "simulate/child_process.h"
#include "simulate/full_sharding.h"
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

/// One after the other.
Flows in_turn(const Flows& a, const Flows& b) {
  return {a.latency_s + b.latency_s, a.inside_s + b.inside_s, a.between_bytes + b.between_bytes, a.at_once};
}

/// So many collectives in turn that take as long each.
Flows times(int count, Flows flows) {
  flows.latency_s *= count;
  return flows;
}

/// The gathers of a unit of full sharding; latencies are those of all its collectives.
Flows unit_flows(const Job& job, const FullSharding::Unit& unit) {
  const Flows shares = flows_of(job.cluster, half_traffic(job.cluster.algorithm, job.shape), unit.gathered_bytes);
  const Flows rest = flows_of(job.cluster, broadcast_traffic(job.shape), unit.broadcast_bytes);
  if (job.full->grouped) return unit.broadcasts > 0 ? together(shares, rest) : shares;
  return in_turn(times(unit.gathers, shares), times(unit.broadcasts, rest));
}

Flows bucket_flows(const Job& job, std::size_t bucket) {
  const auto bytes = static_cast<double>(job.bucket_bytes[bucket]);
  const double scattered = job.full       ? job.full->scattered_bytes[bucket]
                           : job.sharding ? job.sharding->scattered_bytes[bucket]
                                          : 0;
  const double summed = bytes - scattered;
  const Flows all = flows_of(job.cluster, choose_traffic(job.cluster, job.shape, summed), summed);
  if (!(scattered > 0)) return all;
  const Flows share = flows_of(job.cluster, half_traffic(job.cluster.algorithm, job.shape), scattered);
  if (!(summed > 0)) return share;
  return job.full && !job.full->grouped ? in_turn(share, all) : together(share, all);
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
        small_collective_s_(small_collective_s(job.cluster, job.shape)), communicates_(ranks_ > 1 && has_buckets(job)),
        sharded_(communicates_ && job.sharding), full_(communicates_ && job.full), sent_(barrier(job.shape.hosts)),
        begin_(barrier((full_ ? 0 : ranks_) + job.shape.hosts + 1)), arrived_(barrier(ranks_ + 1)),
        updated_(barrier(ranks_ + 1)), gathered_(barrier(ranks_ + 1)), step_end_(barrier(ranks_)),
        handed_over_(sg4::Semaphore::create(0)) {
    for (std::size_t b = 0; communicates_ && b < job.bucket_bytes.size(); ++b) flows_.push_back(bucket_flows(job, b));
    if (sharded_) gather_ = gather_flows(job);
    for (const Flows& flows : flows_) between_s_[whole_bytes(flows)] = 0;
    if (sharded_) between_s_[whole_bytes(gather_)] = 0;
    if (full_)
      for (const auto* unit : {&job.full->outer, &job.full->block}) between_s_[whole_bytes(unit_flows(job, *unit))] = 0;
    seen_.resize(job.steps.size());
    for (SimulatedStep& step : seen_) step.buckets.resize(flows_.size());
    last_ready_s_.assign(flows_.size(), 0);
    for (sg4::Host* host : hosts_) mailboxes_.push_back(sg4::Mailbox::by_name(host->get_name()));
    for (std::size_t h = 0; h < hosts_.size(); ++h) sg4::Actor::create("send", hosts_[h], [this, h] { send_each(h); });
    if (full_) {
      sg4::Actor::create("steps", hosts_[0], [this] { take_full_steps(); });
      return;
    }
    sg4::Actor::create("communicate", hosts_[0], [this] { communicate(); });
    for (int r = 0; r < ranks_; ++r) sg4::Actor::create("compute", hosts_[host_of(r)], [this, r] { compute(r); });
  }

  const std::vector<SimulatedStep>& seen() const { return seen_; }

 private:
  static bool has_buckets(const Job& job) { return !job.bucket_bytes.empty(); }
  static std::uint64_t whole_bytes(const Flows& flows) { return static_cast<std::uint64_t>(flows.between_bytes + 0.5); }
  static sg4::BarrierPtr barrier(int actors) { return sg4::Barrier::create(static_cast<unsigned>(actors)); }
  std::size_t host_of(int rank) const { return static_cast<std::size_t>(rank / job_.shape.gpus_per_host); }

  // ---- the sending actor of a host, before the first step ----

  void send_each(std::size_t host) {
    for (auto& [bytes, took_s] : between_s_) {
      sent_->wait();
      const double begin_s = now_s();
      exchange(host, bytes);
      took_s = std::max(took_s, now_s() - begin_s);
    }
    begin_->wait();
  }

  /// To the next host of the ring, from the one before. By mailboxes: SimGrid 3.32 looks for a host-to-host flow that has
  /// ended among all that are on their way, which took half of the time with 2,048 hosts.
  void exchange(std::size_t host, std::uint64_t bytes) {
    if (bytes == 0) return;
    const sg4::CommPtr sent = mailboxes_[(host + 1) % hosts_.size()]->put_async(&payload_, bytes);
    mailboxes_[host]->get<char>();
    sent->wait();
  }

  // ---- with full sharding, the actor that adds up all ranks' steps ----

  void take_full_steps() {
    begin_->wait();
    FullDurations durations{seconds(unit_flows(job_, job_.full->outer)),
                            seconds(unit_flows(job_, job_.full->block)),
                            {},
                            small_collective_s_};
    for (const Flows& flows : flows_) durations.reduce_s.push_back(seconds(flows));
    seen_ = full_sharded_steps(job_, durations);
  }

  // ---- the computing actor of a rank ----

  void compute(int rank) {
    begin_->wait();
    for (std::size_t s = 0; s < job_.steps.size(); ++s) {
      const WorkStep& work = job_.steps[s];
      const double factor = job_.factors[s * static_cast<std::size_t>(ranks_) + static_cast<std::size_t>(rank)];
      SimulatedStep unseen;
      SimulatedStep& step = rank == 0 ? seen_[s] : unseen;
      step.begin_s = now_s();
      wait_until(step.begin_s + factor * (work.data_s + work.forward_s));
      const double backward_s = now_s();
      if (communicates_) hand_over(rank, s, backward_s, factor);
      wait_until(backward_s + factor * work.backward_s);
      step.backward_end_s = now_s();
      if (communicates_) arrived_->wait();
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
    if (++ranks_in_backward_ < ranks_) return;
    ranks_in_backward_ = 0;
    handed_over_->release();
  }

  // ---- the communicating actor ----

  void communicate() {
    begin_->wait();
    for (SimulatedStep& step : seen_) {
      if (!communicates_) return;
      handed_over_->acquire();
      for (std::size_t b = 0; b < flows_.size(); ++b) {  // one after another
        // a ring goes no faster than its last rank, so it begins when that is ready
        wait_until(std::max(now_s(), last_ready_s_[b]) + seconds(flows_[b]));
        step.buckets[b].end_s = now_s();
      }
      note_starts(step);
      arrived_->wait();
      if (!sharded_) continue;
      updated_->wait();
      wait_until(now_s() + seconds(gather_));
      gathered_->wait();
    }
  }

  double seconds(const Flows& flows) const {
    const double between_s = between_s_.at(whole_bytes(flows));
    return flows.latency_s + (flows.at_once ? std::max(flows.inside_s, between_s) : flows.inside_s + between_s);
  }

  /// Rank 0 is in an all-reduce from when it is ready, though others are not.
  static void note_starts(SimulatedStep& step) {
    double end_s = 0;
    for (auto& bucket : step.buckets) {
      bucket.start_s = std::max(bucket.ready_s, end_s);
      end_s = bucket.end_s;
    }
  }

  const Job& job_;
  std::vector<sg4::Host*> hosts_;
  int ranks_;
  double small_collective_s_;
  bool communicates_, sharded_, full_;  // there is anything to send; and the update is shared out; and everything is
  sg4::BarrierPtr sent_, begin_, arrived_, updated_, gathered_, step_end_;
  sg4::SemaphorePtr handed_over_;              // once a step: backward began on the last rank
  std::vector<Flows> flows_;                   // of each bucket
  Flows gather_;                               // of the parameters
  std::map<std::uint64_t, double> between_s_;  // by bytes of a host: until the last one has them
  std::vector<sg4::Mailbox*> mailboxes_;       // by host
  char payload_ = 0;                           // what is sent; nobody looks at it
  int ranks_in_backward_ = 0;
  std::vector<double> last_ready_s_;  // of each bucket, on the last of all ranks
  std::vector<SimulatedStep> seen_;   // of rank 0
};

constexpr std::size_t kNumbers = 9;  // of a step, without its buckets

/// Since the first step began.
std::vector<double> to_numbers(const std::vector<SimulatedStep>& steps) {
  const double zero_s = steps.front().begin_s;
  std::vector<double> numbers;
  for (const SimulatedStep& s : steps) {
    for (const double time_s :
         {s.begin_s, s.backward_end_s, s.buckets_end_s, s.update_end_s, s.gathered_s, s.agreed_s, s.end_s})
      numbers.push_back(time_s - zero_s);
    numbers.insert(numbers.end(), {s.gathers_s, s.gathers_waited_s});
    for (const auto& b : s.buckets)
      for (const double time_s : {b.ready_s, b.start_s, b.end_s}) numbers.push_back(time_s - zero_s);
  }
  return numbers;
}

std::vector<SimulatedStep> from_numbers(const std::vector<double>& numbers, std::size_t steps) {
  const std::size_t each = numbers.size() / steps;
  std::vector<SimulatedStep> all;
  for (std::size_t s = 0; s < steps; ++s) {
    const double* n = &numbers[s * each];
    SimulatedStep& step = all.emplace_back(SimulatedStep{n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], {}});
    for (std::size_t i = kNumbers; i < each; i += 3) step.buckets.push_back({n[i], n[i + 1], n[i + 2]});
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
  if (job.full && (job.full->scattered_bytes.size() != job.bucket_bytes.size() ||
                   std::ssize(job.full->forward_shares) != job.full->depth + 2 ||
                   std::ssize(job.bucket_bytes) != model::SegmentOrder{job.full->depth}.count()))
    throw std::invalid_argument("a fully sharded simulation needs a bucket for each segment, and forward by blocks");
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
