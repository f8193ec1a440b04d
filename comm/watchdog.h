// A collective that does not end ends the job, with a message that says who was waited for.
//
// Open MPI waits for ever for a host whose link went down. Each rank has a thread that looks every 0.25 s
// whether one of its collectives has taken longer than the limit. If so it asks every rank where it is (a
// message on a communicator of its own, which the others' watchdogs answer), waits 3 s, names the ranks that
// did not answer and those that are elsewhere, and ends the job.
#pragma once

#include <mpi.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace gpumonth::comm {

/// What a library can add about a collective that does not end; both are called on the watchdog's thread.
struct WatchdogHooks {
  std::function<std::string()> details = {};  ///< for the message: "NCCL reports ..."
  std::function<void()> release = {};         ///< abort_job's
};

class Watchdog {
 public:
  /// Collective over `comm`. limit_s <= 0: does nothing. Without MPI_THREAD_MULTIPLE it cannot ask, and names
  /// only the collective.
  Watchdog(MPI_Comm comm, double limit_s, std::vector<std::string> hosts, bool can_ask);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// A channel is one communicator used by one thread; the same number on every rank. `name`: a literal. `members`: the
  /// ranks that it joins, where those are not all; the others are not waited for.
  int add_channel(const char* name, WatchdogHooks hooks = {}, std::vector<int> members = {});
  int rank() const { return rank_; }  ///< as its messages number them
  /// The collective `what` (a literal) on `channel` begins and ends. Guard does both.
  void enter(int channel, const char* what, std::int64_t bytes = 0);
  void leave(int channel);
  void set_context(const char* phase, std::int64_t step);

  /// The collective `what` (a literal) on `channel`, until the end of the scope.
  class Guard {
   public:
    Guard(Watchdog& watchdog, int channel, const char* what, std::int64_t bytes = 0);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Watchdog& watchdog_;
    int channel_;
  };

 private:
  static constexpr int kChannels = 1024;
  struct Channel {
    const char* name = "";
    std::atomic<const char*> what{nullptr};
    std::atomic<std::int64_t> bytes{0};
    std::atomic<std::uint64_t> entered{0};  // collectives begun
    std::atomic<bool> inside{false};
    WatchdogHooks hooks;
    std::vector<int> members;  // empty: all
    // the watchdog thread's own: how long it has seen the same collective
    std::uint64_t seen = 0;
    double age_s = 0;
  };
  struct Question;
  struct Answer;

  void run();
  void answer_questions();
  void look(Channel& channel, int index, double elapsed_s);
  bool is_stuck(const Channel& channel) const;
  std::vector<Answer> ask_all(const Channel& channel, int index);
  [[noreturn]] void end_job(const Channel& channel, const std::vector<Answer>& answers);
  Answer describe(const Question& question) const;
  std::string whom_it_waits_for(const Channel& channel, const std::vector<Answer>& answers) const;

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  double limit_s_;
  bool can_ask_;
  std::vector<std::string> hosts_;
  std::array<Channel, kChannels> channels_;
  std::atomic<int> channel_count_{0};
  std::atomic<const char*> phase_{"start"};
  std::atomic<std::int64_t> step_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace gpumonth::comm
