#include "comm/watchdog.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <stdexcept>

#include "comm/abort.h"
#include "comm/mpi_check.h"

namespace gpumonth::comm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kQuestionTag = 1, kAnswerTag = 2;
constexpr auto kLookEvery = std::chrono::milliseconds(250);
constexpr auto kAnswerWithin = std::chrono::seconds(3);
constexpr double kLongestLook_s = 1.0;  // a stopped and continued job has not waited while it was stopped

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

std::string size_text(std::int64_t bytes) {
  if (bytes <= 0) return "";
  if (bytes < (1 << 10)) return fmt::format(" of {} B", bytes);
  if (bytes < (1 << 20)) return fmt::format(" of {:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format(" of {:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

void copy_text(char* to, std::size_t size, const char* from) { std::snprintf(to, size, "%s", from ? from : "?"); }

}  // namespace

struct Watchdog::Question {
  std::int64_t channel = 0;
  std::uint64_t entered = 0;
};

struct Watchdog::Answer {
  enum State : std::int64_t { none, not_there_yet, inside, past_it };
  std::int64_t state = none;
  std::int64_t step = 0;
  char phase[32] = "";
};

Watchdog::Watchdog(MPI_Comm comm, double limit_s, std::vector<std::string> hosts, bool can_ask)
    : limit_s_(limit_s), can_ask_(can_ask), hosts_(std::move(hosts)) {
  GPUMONTH_MPI(MPI_Comm_dup, comm, &comm_);
  GPUMONTH_MPI(MPI_Comm_rank, comm_, &rank_);
  GPUMONTH_MPI(MPI_Comm_size, comm_, &size_);
  if (limit_s_ > 0) thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

int Watchdog::add_channel(const char* name, WatchdogHooks hooks, std::vector<int> members) {
  const int index = channel_count_.load();
  if (index == kChannels) throw std::length_error("too many communicators: a fault of gpumonth");
  channels_[index].name = name;
  channels_[index].hooks = std::move(hooks);
  channels_[index].members = std::move(members);
  channel_count_ = index + 1;
  return index;
}

void Watchdog::set_context(const char* phase, std::int64_t step) {
  phase_.store(phase, std::memory_order_relaxed);
  step_.store(step, std::memory_order_relaxed);
}

Watchdog::Guard::Guard(Watchdog& watchdog, int channel, const char* what, std::int64_t bytes)
    : watchdog_(watchdog), channel_(channel) {
  watchdog_.enter(channel_, what, bytes);
}

Watchdog::Guard::~Guard() { watchdog_.leave(channel_); }

void Watchdog::enter(int channel, const char* what, std::int64_t bytes) {
  Channel& c = channels_[channel];
  c.what.store(what, std::memory_order_relaxed);
  c.bytes.store(bytes, std::memory_order_relaxed);
  c.entered.fetch_add(1, std::memory_order_relaxed);
  c.inside.store(true, std::memory_order_release);
}

void Watchdog::leave(int channel) { channels_[channel].inside.store(false, std::memory_order_release); }

void Watchdog::run() {
  auto last = Clock::now();
  while (!stop_) {
    std::this_thread::sleep_for(kLookEvery);
    const auto now = Clock::now();
    const double elapsed_s = std::min(seconds(now - last), kLongestLook_s);
    last = now;
    if (can_ask_) answer_questions();
    for (int i = 0; i < channel_count_; ++i) look(channels_[i], i, elapsed_s);
  }
}

bool Watchdog::is_stuck(const Channel& channel) const {
  return channel.inside.load(std::memory_order_acquire) && channel.entered.load() == channel.seen;
}

void Watchdog::look(Channel& channel, int index, double elapsed_s) {
  if (!is_stuck(channel)) {
    channel.seen = channel.entered.load();
    channel.age_s = 0;
    return;
  }
  channel.age_s += elapsed_s;
  if (channel.age_s < limit_s_) return;
  const std::vector<Answer> answers = can_ask_ ? ask_all(channel, index) : std::vector<Answer>{};
  if (is_stuck(channel)) end_job(channel, answers);
}

Watchdog::Answer Watchdog::describe(const Question& question) const {
  const Channel& channel = channels_[question.channel];
  const std::uint64_t entered = channel.entered.load();
  Answer answer;
  answer.state = entered < question.entered                             ? Answer::not_there_yet
                 : entered > question.entered || !channel.inside.load() ? Answer::past_it
                                                                        : Answer::inside;
  answer.step = step_.load();
  copy_text(answer.phase, sizeof answer.phase, phase_.load());
  return answer;
}

void Watchdog::answer_questions() {
  for (;;) {
    int there = 0;
    MPI_Status status;
    GPUMONTH_MPI(MPI_Iprobe, MPI_ANY_SOURCE, kQuestionTag, comm_, &there, &status);
    if (!there) return;
    Question question;
    GPUMONTH_MPI(MPI_Recv, &question, sizeof question, MPI_BYTE, status.MPI_SOURCE, kQuestionTag, comm_,
                 MPI_STATUS_IGNORE);
    // kept for ever: a few bytes, and the job is about to end
    static std::deque<Answer> answers;
    answers.push_back(describe(question));
    MPI_Request request;
    GPUMONTH_MPI(MPI_Isend, &answers.back(), sizeof(Answer), MPI_BYTE, status.MPI_SOURCE, kAnswerTag, comm_, &request);
  }
}

std::vector<Watchdog::Answer> Watchdog::ask_all(const Channel& channel, int index) {
  static std::deque<Question> questions;  // kept for ever, as above
  questions.push_back({index, channel.seen});
  for (int r = 0; r < size_; ++r) {
    MPI_Request request;
    if (r == rank_) continue;
    GPUMONTH_MPI(MPI_Isend, &questions.back(), sizeof(Question), MPI_BYTE, r, kQuestionTag, comm_, &request);
  }
  std::vector<Answer> answers(size_);
  answers[rank_] = describe(questions.back());
  int missing = size_ - 1;
  const auto deadline = Clock::now() + kAnswerWithin;
  while (missing > 0 && Clock::now() < deadline && is_stuck(channel)) {
    answer_questions();
    int there = 0;
    MPI_Status status;
    GPUMONTH_MPI(MPI_Iprobe, MPI_ANY_SOURCE, kAnswerTag, comm_, &there, &status);
    if (!there) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    Answer answer;
    GPUMONTH_MPI(MPI_Recv, &answer, sizeof answer, MPI_BYTE, status.MPI_SOURCE, kAnswerTag, comm_, MPI_STATUS_IGNORE);
    if (answers[status.MPI_SOURCE].state == Answer::none) --missing;
    answers[status.MPI_SOURCE] = answer;
  }
  return answers;
}

std::string Watchdog::whom_it_waits_for(const Channel& channel, const std::vector<Answer>& answers) const {
  if (answers.empty()) return "MPI gives no MPI_THREAD_MULTIPLE, so the other ranks could not be asked";
  std::string silent, elsewhere;
  for (int r = 0; r < size_; ++r) {
    const bool member = channel.members.empty() || std::ranges::count(channel.members, r) > 0;
    if (!member) continue;
    const Answer& answer = answers[r];
    if (answer.state == Answer::none) {
      silent += fmt::format("{}{} ({})", silent.empty() ? "" : ", ", r, hosts_[r]);
    } else if (answer.state == Answer::not_there_yet) {
      elsewhere += fmt::format("{}rank {} ({}) is still in '{}' of step {}", elsewhere.empty() ? "" : ", ", r,
                               hosts_[r], answer.phase, answer.step);
    }
  }
  std::string text;
  if (!silent.empty()) text = fmt::format("no answer from rank {}", silent);
  if (!elsewhere.empty()) text += (text.empty() ? "" : "; ") + elsewhere;
  return text.empty() ? "every rank answers and has entered it" : text;
}

void Watchdog::end_job(const Channel& channel, const std::vector<Answer>& answers) {
  const std::string details = channel.hooks.details ? "; " + channel.hooks.details() : std::string();
  abort_job(fmt::format("{}{}{} ({}) in step {} not done after {:.0f} s: {}{} - a host, link or process is down or "
                        "stopped, or comm.watchdog_s is too short",
                        rank_prefix(), channel.what.load(), size_text(channel.bytes), channel.name, step_.load(),
                        channel.age_s, whom_it_waits_for(channel, answers), details),
            1, channel.hooks.release);
}

}  // namespace gpumonth::comm
