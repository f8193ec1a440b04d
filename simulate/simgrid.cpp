// What a job's collectives take, from SimGrid's engine; rank_steps.h adds the steps up. A collective begins on all hosts at once, so
// what it takes between them depends on its bytes and its route alone: an actor for each host sends every number of bytes once,
// over links that they share, and whenever a collective sends as much it takes as long. The ranks of a host send alike, so one
// representative flow is theirs. (With all hosts sending every bucket of every step 16,384 ranks and 640 buckets took eleven
// minutes.)
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <climits>
#include <map>
#include <stdexcept>
#include <utility>

#include "model/gradient_segments.h"
#include "simulate/all_reduce.h"
#include "simulate/child_process.h"
#include "simulate/flows.h"
#include "simulate/rank_steps.h"
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

class Program {
 public:
  explicit Program(const Job& job)
      : hosts_(make_platform(job.cluster, job.shape)),
        sent_(sg4::Barrier::create(static_cast<unsigned>(job.shape.hosts))) {
    for (sg4::Host* host : hosts_) mailboxes_.push_back(sg4::Mailbox::by_name(host->get_name()));
    if (job.shape.ranks() == 1) return;
    flows_ = flows_of(job);
    for (const auto* several : {&flows_.reduces, &flows_.replicas})
      for (const Flows& flows : *several) between_s_[sent_by(flows)] = 0;
    for (const auto* one : {&flows_.gather, &flows_.outer, &flows_.block, &flows_.exchange_3, &flows_.exchange_1})
      between_s_[sent_by(*one)] = 0;
    for (std::size_t h = 0; h < hosts_.size(); ++h) sg4::Actor::create("send", hosts_[h], [this, h] { send_each(h); });
  }

  /// Once the engine has run.
  Durations durations() const {
    Durations d{.outer_s = seconds(flows_.outer),
                .block_s = seconds(flows_.block),
                .gather_s = seconds(flows_.gather),
                .exchange_3_s = seconds(flows_.exchange_3),
                .exchange_1_s = seconds(flows_.exchange_1),
                .shared_links = share_links(flows_)};
    for (const Flows& flows : flows_.reduces) d.reduce_s.push_back(seconds(flows));
    for (const Flows& flows : flows_.replicas) d.replicas_s.push_back(seconds(flows));
    return d;
  }

 private:
  using Sent = std::pair<Route, std::uint64_t>;  // bytes of a host
  static Sent sent_by(const Flows& flows) {
    return {flows.route, static_cast<std::uint64_t>(flows.between_bytes + 0.5)};
  }

  double seconds(const Flows& flows) const {
    const auto found = between_s_.find(sent_by(flows));
    const double between_s = found == between_s_.end() ? 0 : found->second;  // one rank sends nothing
    return flows.latency_s + (flows.at_once ? std::max(flows.inside_s, between_s) : flows.inside_s + between_s);
  }

  /// The actor of a host.
  void send_each(std::size_t host) {
    for (auto& [sent, took_s] : between_s_) {
      sent_->wait();
      const double begin_s = now_s();
      exchange(host, sent.first, sent.second);
      took_s = std::max(took_s, now_s() - begin_s);
    }
  }

  /// By mailboxes: SimGrid 3.32 looks for a host-to-host flow that has ended among all that are on their way, which took half of
  /// the time with 2,048 hosts.
  void exchange(std::size_t host, const Route& route, std::uint64_t bytes) {
    if (bytes == 0 || route.hosts == 1) return;
    const std::size_t stride = static_cast<std::size_t>(route.stride),
                      block = stride * static_cast<std::size_t>(route.hosts);
    const std::size_t place = host % block;
    const std::size_t peers = route.all_pairs ? static_cast<std::size_t>(route.hosts) - 1 : 1;
    std::vector<sg4::CommPtr> flows;
    std::vector<char*> received(peers);
    for (std::size_t peer = 1; peer <= peers; ++peer) {
      const std::size_t to = host - place + (place + peer * stride) % block;
      flows.push_back(mailboxes_[to]->put_async(&payload_, bytes / peers));
      flows.push_back(mailboxes_[host]->get_async<char>(&received[peer - 1]));
    }
    for (const sg4::CommPtr& flow : flows) flow->wait();
  }

  std::vector<sg4::Host*> hosts_;
  sg4::BarrierPtr sent_;
  JobFlows flows_;
  std::map<Sent, double> between_s_;      // until the last host has them
  std::vector<sg4::Mailbox*> mailboxes_;  // by host
  char payload_ = 0;                      // what is sent; nobody looks at it
};

constexpr std::size_t kNumbers = 12;  // of a step, without its buckets

/// Since the first step began.
std::vector<double> to_numbers(const std::vector<SimulatedStep>& steps) {
  const double zero_s = steps.front().begin_s;
  std::vector<double> numbers;
  for (const SimulatedStep& s : steps) {
    for (const double time_s :
         {s.begin_s, s.backward_end_s, s.buckets_end_s, s.update_end_s, s.gathered_s, s.agreed_s, s.end_s})
      numbers.push_back(time_s - zero_s);
    numbers.insert(numbers.end(),
                   {s.reduces_s, s.gathers_s, s.gathers_waited_s, s.exchanged_forward_s, s.exchanged_backward_s});
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
    SimulatedStep& step =
        all.emplace_back(SimulatedStep{n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], {}});
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
  const Program program(job);
  engine->run();
  Durations durations = program.durations();
  durations.small_collective_s = small_collective_s(job.cluster, job.shape);
  return to_numbers(rank_steps(job, durations));
}

void check(const Job& job) {
  if (job.steps.empty()) throw std::invalid_argument("a simulation without steps");
  if (job.factors.size() != job.steps.size() * static_cast<std::size_t>(job.shape.ranks()))
    throw std::invalid_argument("a simulation needs one factor for each step and rank");
  std::int64_t ready = 0;
  for (const replay::PassEvent& event : job.passes.backward)
    if (event.kind == replay::PassEvent::Kind::ready && event.index != ready++)
      throw std::invalid_argument("a simulated backward has its buckets in order");
  if (ready != std::ssize(job.bucket_bytes))
    throw std::invalid_argument("a simulated step needs one ready time for each bucket");
  if (job.sharding && job.sharding->scattered_bytes.size() != job.bucket_bytes.size())
    throw std::invalid_argument("a sharded simulation needs the scattered bytes of each bucket");
  if (job.full && (job.full->scattered_bytes.size() != job.bucket_bytes.size() ||
                   std::ssize(job.bucket_bytes) != model::SegmentOrder{job.full->depth}.count()))
    throw std::invalid_argument("a fully sharded simulation needs a bucket for each segment");
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
