#include "tests/emulator/nccl_meeting.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace gpumonth::emulator {
namespace {

static_assert(std::atomic<Presence>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

/// Of a process: its start in ticks; 0 where it has ended, also where its parent has not asked for it yet.
std::uint64_t start_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text, '\0');          // nothing, and no exception, where it ends while it is read
  const auto name_ends = text.rfind(')');  // a program's name may hold anything
  if (name_ends == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_ends + 1));
  std::string state, skipped;
  fields >> state;
  for (int i = 4; i < 22; ++i) fields >> skipped;
  std::uint64_t started = 0;
  fields >> started;
  return state == "Z" || state == "X" ? 0 : started;
}

/// Looks until `done`, and every 20 ms whether it is in vain. False: it is.
template <class Done, class InVain>
bool wait_until(const Done& done, const InVain& in_vain) {
  using clock = std::chrono::steady_clock;
  auto next_look = clock::now();
  for (int turn = 0; !done(); ++turn) {
    if (turn < 200) {
      sched_yield();
      continue;
    }
    if (clock::now() >= next_look) {
      if (in_vain()) return done();  // it may have come just before
      next_look = clock::now() + std::chrono::milliseconds(20);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

void copy_text(const std::string& from, char* to, std::size_t bytes) { std::snprintf(to, bytes, "%s", from.c_str()); }

}  // namespace

bool has_interface() {
  const char* given = std::getenv("NCCL_SOCKET_IFNAME");
  if (!given || !*given || *given == '^') return true;
  const bool exact = *given == '=';
  std::string wanted = exact ? given + 1 : given, name;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return false;
  bool found = false;
  for (std::size_t at = 0; at <= wanted.size();) {
    const std::size_t end = std::min(wanted.find(',', at), wanted.size());
    name = wanted.substr(at, end - at);
    for (const ifaddrs* i = all; i; i = i->ifa_next)
      found |= exact ? name == i->ifa_name : std::string(i->ifa_name).rfind(name, 0) == 0;
    at = end + 1;
  }
  freeifaddrs(all);
  return found;
}

const std::string& host_id() {
  static const std::string id = [] {
    char name[128] = "";
    gethostname(name, sizeof name - 1);
    const char* given = std::getenv("NCCL_HOSTID");
    return std::string(given ? given : name);
  }();
  return id;
}

struct Meeting::Board {  // all zero in the beginning
  std::atomic<std::int32_t> ranks, joined;
  Seat seats[kMostRanks];
};

Meeting::Meeting(const std::string& name, int rank, int size, const std::string& host, const std::string& gpu)
    : name_(name), rank_(rank), size_(size) {
  const int file = shm_open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) throw NcclError(ncclSystemError, "shm_open " + name + ": " + std::strerror(errno));
  bytes_ = sizeof(Board) + kSlotBytes * static_cast<std::size_t>(size);
  const int full = posix_fallocate(file, 0, static_cast<off_t>(bytes_));  // never makes it smaller
  void* memory = full ? MAP_FAILED : mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) {
    shm_unlink(name.c_str());
    throw NcclError(ncclSystemError, "no shared memory for " + std::to_string(bytes_) + " bytes");
  }
  board_ = static_cast<Board*>(memory);
  try {
    take_seat(host, gpu);
  } catch (...) {
    munmap(board_, bytes_);
    throw;
  }
}

void Meeting::take_seat(const std::string& host, const std::string& gpu) {
  std::int32_t ranks = 0;
  if (!board_->ranks.compare_exchange_strong(ranks, size_) && ranks != size_)
    throw NcclError(ncclInvalidArgument,
                    "ranks differ in their number: " + std::to_string(size_) + " and " + std::to_string(ranks));
  Seat& mine = seat(rank_);
  Presence empty = Presence::absent;
  if (!mine.presence.compare_exchange_strong(empty, Presence::taken))
    throw NcclError(ncclInvalidUsage, "two ranks are rank " + std::to_string(rank_));
  mine.pid = getpid();
  mine.started = start_of(mine.pid);
  copy_text(host, mine.host, sizeof mine.host);
  copy_text(gpu, mine.gpu, sizeof mine.gpu);
  mine.presence = Presence::here;
  if (board_->joined.fetch_add(1) + 1 == size_) shm_unlink(name_.c_str());
  const auto leave_with = [this](ncclResult_t result, const std::string& text) {
    leave(Presence::aborted);
    throw NcclError(result, text);
  };
  if (!wait_until([this] { return board_->joined == size_; }, [this] { return !lost_peer().empty(); })) {
    shm_unlink(name_.c_str());
    leave_with(ncclRemoteError, lost_peer());
  }
  for (int other = 0; other < size_; ++other) {
    const Seat& theirs = seat(other);
    if (other != rank_ && !std::strcmp(theirs.host, mine.host) && !std::strcmp(theirs.gpu, mine.gpu))
      leave_with(ncclInvalidUsage, "Duplicate GPU detected : rank " + std::to_string(rank_) + " and rank " +
                                       std::to_string(other) + " both on CUDA device " + mine.gpu);
  }
  const std::atomic<bool> never{false};
  if (barrier(never) != Outcome::all_here) leave_with(ncclRemoteError, lost_peer());
}

Meeting::~Meeting() { munmap(board_, bytes_); }

std::byte* Meeting::slot(int rank) const {
  return reinterpret_cast<std::byte*>(board_) + sizeof(Board) + kSlotBytes * static_cast<std::size_t>(rank);
}
Seat& Meeting::seat(int rank) const { return board_->seats[rank]; }

bool Meeting::is_gone(int rank) const {
  const Seat& other = seat(rank);
  const Presence presence = other.presence;
  if (presence == Presence::aborted || presence == Presence::destroyed) return true;
  return presence == Presence::here && start_of(other.pid) != other.started;
}

std::string Meeting::lost_peer() const {
  for (int other = 0; other < size_; ++other) {
    if (other == rank_ || !is_gone(other)) continue;
    const Presence how = seat(other).presence;
    return "rank " + std::to_string(other) + " (process " + std::to_string(seat(other).pid) + ") " +
           (how == Presence::aborted     ? "called ncclCommAbort"
            : how == Presence::destroyed ? "called ncclCommDestroy"
                                         : "ended");
  }
  return "";
}

Meeting::Outcome Meeting::barrier(const std::atomic<bool>& aborted) {
  const std::uint64_t number = ++seat(rank_).barriers;
  const auto came = [&](int other) { return seat(other).barriers >= number; };
  const auto all_came = [&] {
    for (int other = 0; other < size_; ++other)
      if (!came(other)) return false;
    return true;
  };
  const bool all = wait_until(all_came, [&] {
    if (aborted) return true;
    for (int other = 0; other < size_; ++other)
      if (other != rank_ && !came(other) && is_gone(other) && !came(other)) return true;
    return false;
  });
  return all ? Outcome::all_here : aborted ? Outcome::aborted : Outcome::peer_lost;
}

Meeting::Outcome Meeting::wait_for(const std::function<bool()>& done, const std::vector<int>& peers,
                                   const std::atomic<bool>& aborted) {
  const bool is_done = wait_until(done, [&] {
    return aborted ||
           std::any_of(peers.begin(), peers.end(), [this](int peer) { return peer != rank_ && is_gone(peer); });
  });
  return is_done ? Outcome::all_here : aborted ? Outcome::aborted : Outcome::peer_lost;
}

void Meeting::wait_for_leave(const std::atomic<bool>& aborted) {
  wait_until(
      [this] {
        for (int other = 0; other < size_; ++other)
          if (other != rank_ && !is_gone(other)) return false;
        return true;
      },
      [&] { return aborted.load(); });
}

void Meeting::leave(Presence how) { seat(rank_).presence = how; }

}  // namespace gpumonth::emulator
