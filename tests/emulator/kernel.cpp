// Kernels, thread by thread: each thread of a block is a fiber, which runs until it waits for others. Blocks,
// and the threads of a block between two barriers, run in the order of their numbers in one launch and in the
// reverse order in the next, so that what relies on an order is found. A kernel that waits for ever ends the program.
#include "tests/emulator/kernel.h"

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/emulator/schedule.h"

namespace gpumonth::emulator {

thread_local ThreadPlace here;

namespace {

namespace ctx = boost::context;

constexpr unsigned kWarp = 32, kMostThreads = 1024;
constexpr std::size_t kMostShared = 227 << 10, kStackBytes = 64 << 10;

enum class State { may_run, at_block_barrier, at_warp_barrier, ended };

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};

struct Thread {
  ctx::fiber fiber;
  ThreadPlace place;
  State state = State::may_run;
  std::vector<Copy> copies;  ///< begun, and not yet made
};

struct Lane {
  alignas(16) unsigned char value[16];
};

struct Warp {
  unsigned mask = 0;     ///< of the exchange that is under way
  unsigned arrived = 0;  ///< lanes, as a mask
  Lane lanes[kWarp];
  void (*work)(void* const*) = nullptr;  ///< what lanes are coming together for, if it is no exchange
  void* given[kWarp];
};

struct Block {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<float4> shared;
  unsigned current = 0;  ///< the number of the thread that runs
  ctx::fiber scheduler;  ///< what runs when it waits
};

thread_local Block* block = nullptr;

[[noreturn]] void fail(const char* what) {
  const Thread& t = block->threads[block->current];
  std::fprintf(stderr, "emulated GPU: %s (block %u of %u, thread %u of %zu)\n", what, t.place.block.x,
               t.place.grid_size.x, block->current, block->threads.size());
  std::abort();
}

/// To the scheduler and back.
void wait(State state) {
  Thread& thread = block->threads[block->current];
  thread.state = state;
  block->scheduler = std::move(block->scheduler).resume();
}

void resume(unsigned number) {
  block->current = number;
  Thread& thread = block->threads[number];
  here = thread.place;
  thread.fiber = std::move(thread.fiber).resume();
}

/// Lets those go on whose barrier is complete. True: somebody may run.
bool open_barriers() {
  bool anybody = false, all_at_barrier = true;
  for (const Thread& t : block->threads) {
    anybody = anybody || t.state == State::may_run;
    all_at_barrier = all_at_barrier && (t.state == State::at_block_barrier || t.state == State::ended);
  }
  if (anybody) return true;
  for (Thread& t : block->threads) {
    if (!all_at_barrier || t.state != State::at_block_barrier) continue;
    t.state = State::may_run;
    anybody = true;
  }
  return anybody;
}

bool ended() {
  for (const Thread& t : block->threads)
    if (t.state != State::ended) return false;
  return true;
}

/// The lanes of `mask` go on; nobody is under way any more.
void release_warp(unsigned number, unsigned mask) {
  block->warps[number].arrived = 0;
  for (unsigned l = 0; l < kWarp && number * kWarp + l < block->threads.size(); ++l) {
    Thread& other = block->threads[number * kWarp + l];
    if (mask >> l & 1 && other.state == State::at_warp_barrier) other.state = State::may_run;
  }
}

void run_block(const dim3& grid, const dim3& size, std::size_t shared_bytes, unsigned number, bool reverse,
               const Work& body) {
  static thread_local ctx::pooled_fixedsize_stack stacks(kStackBytes);
  Block mine;
  Block* const outer = std::exchange(block, &mine);
  const unsigned count = size.x;
  mine.threads.resize(count);
  mine.warps.resize((count + kWarp - 1) / kWarp);
  mine.shared.resize((shared_bytes + sizeof(float4) - 1) / sizeof(float4));
  std::memset(mine.shared.data(), 0xff, mine.shared.size() * sizeof(float4));  // NaN
  for (unsigned i = 0; i < count; ++i) {
    Thread& t = mine.threads[i];
    t.place = {{i, 0, 0}, {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y}, size, grid};
    t.fiber = ctx::fiber(std::allocator_arg, stacks, [&body](ctx::fiber&& back) {
      block->scheduler = std::move(back);
      body();
      if (!block->threads[block->current].copies.empty()) fail("a thread ends before its asynchronous copies");
      block->threads[block->current].state = State::ended;
      return std::move(block->scheduler);
    });
  }
  while (!ended()) {
    if (!open_barriers()) fail("threads wait for others that have ended or wait elsewhere");
    for (unsigned i = 0; i < count; ++i) {
      const unsigned number_of_thread = reverse ? count - 1 - i : i;
      if (mine.threads[number_of_thread].state == State::may_run) resume(number_of_thread);
    }
  }
  block = outer;
}

}  // namespace

void wait_for_block() { wait(State::at_block_barrier); }

unsigned lane() { return block->current % kWarp; }

void* dynamic_shared() { return block->shared.data(); }

std::int64_t clock_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

void sleep_twice(unsigned ns) {
  constexpr unsigned kMost = 1'000'000;
  if (ns > kMost) fail("__nanosleep() of more than 1 ms");
  std::this_thread::sleep_for(std::chrono::nanoseconds(2 * ns));
}

void exchange_in_warp(unsigned mask, unsigned from, const void* mine, void* theirs, std::size_t bytes) {
  Block& b = *block;
  const unsigned number = b.current / kWarp, me = lane();
  Warp& warp = b.warps[number];
  if (!(mask >> me & 1) || !(mask >> from & 1)) fail("a shuffle with a lane that its mask leaves out");
  const std::size_t in_warp = std::min<std::size_t>(kWarp, b.threads.size() - number * kWarp);
  if (in_warp < kWarp && mask >> in_warp != 0) fail("a shuffle whose mask names lanes that the block does not have");
  if (warp.arrived != 0 && (warp.mask != mask || warp.work)) fail("lanes of a warp in different shuffles");
  warp.mask = mask;
  std::memcpy(warp.lanes[me].value, mine, bytes);
  warp.arrived |= 1u << me;
  // Twice: first all have given, then all have taken.
  for (const bool give : {true, false}) {
    if (!give) {
      std::memcpy(theirs, warp.lanes[from].value, bytes);
      warp.arrived |= 1u << me;
    }
    if (warp.arrived == mask)
      release_warp(number, mask);
    else
      wait(State::at_warp_barrier);
  }
}

void together_in_warp(void* mine, void (*work)(void* const*)) {
  constexpr unsigned kAll = 0xffffffffu;
  Block& b = *block;
  const unsigned number = b.current / kWarp;
  Warp& warp = b.warps[number];
  if (b.threads.size() < (number + 1) * kWarp) fail("an instruction of a whole warp, in a warp that is not whole");
  if (warp.arrived != 0 && warp.work != work) fail("lanes of a warp in different instructions");
  warp.work = work;
  warp.given[lane()] = mine;
  warp.arrived |= 1u << lane();
  if (warp.arrived != kAll) return wait(State::at_warp_barrier);
  work(warp.given);
  warp.work = nullptr;
  release_warp(number, kAll);
}

void begin_copy(void* to, const void* from, std::size_t bytes) {
  const auto misaligned = [bytes](const void* at) { return reinterpret_cast<std::uintptr_t>(at) % bytes != 0; };
  if (misaligned(to) || misaligned(from)) fail("an asynchronous copy that is not aligned to its size");
  block->threads[block->current].copies.push_back({to, from, bytes});
}

void make_copies() {
  std::vector<Copy>& copies = block->threads[block->current].copies;
  for (const Copy& c : copies) {
    if (c.from)
      std::memcpy(c.to, c.from, c.bytes);
    else
      std::memset(c.to, 0, c.bytes);
  }
  copies.clear();
}

void launch(dim3 grid, dim3 size, std::size_t shared_bytes, cudaStream_t stream, Work thread) {
  const bool bad = size.x == 0 || size.x > kMostThreads || size.y != 1 || size.z != 1 || grid.x == 0 || grid.y == 0 ||
                   grid.z == 0 || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535 || shared_bytes > kMostShared;
  if (bad) {
    failed(cudaErrorInvalidConfiguration);
    return;
  }
  static bool reverse = false;
  const std::lock_guard lock(the_lock());
  enqueue(stream, [=] {
    reverse = !reverse;
    const unsigned blocks = grid.x * grid.y * grid.z;
    for (unsigned i = 0; i < blocks; ++i)
      run_block(grid, size, shared_bytes, reverse ? blocks - 1 - i : i, reverse, thread);
  });
}

}  // namespace gpumonth::emulator
