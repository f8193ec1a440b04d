// A full disk: one line that names the file, no hang, and the log keeps what it had.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>

#include "base/error.h"
#include "runlog/reader.h"
#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/samples.h"

using namespace gpumonth;
using namespace gpumonth::runlog;

namespace {

/// What the child process saw.
struct Outcome {
  bool prepared = false;      ///< the small disk could be made
  char message[512] = {};     ///< of the UserError
  bool second_error = false;  ///< going on fails again
  double end_s = -1;          ///< the writer's destructor
  std::int64_t flushed = 0, kept = -1;
};

void keep_message(Outcome& outcome, const std::exception& error) {
  std::strncpy(outcome.message, error.what(), sizeof(outcome.message) - 1);
}

void fill(const std::filesystem::path& file, Outcome& outcome) {
  auto writer = std::make_unique<Writer>(file, samples::info());
  try {
    for (std::int64_t n = 1; n < 1'000'000; ++n) {
      writer->step(samples::step(n));
      if (n % 10 != 0) continue;
      writer->flush();
      outcome.flushed = n;
    }
  } catch (const UserError& error) {
    keep_message(outcome, error);
  }
  try {
    writer->close();
  } catch (const UserError&) {
    outcome.second_error = true;
  }
  const auto start = std::chrono::steady_clock::now();
  writer.reset();
  outcome.end_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// A tmpfs of `size` on `folder`, in a mount namespace of this process only.
bool mount_small_disk(const std::filesystem::path& folder, const char* size) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return ::mount("tmpfs", folder.c_str(), "tmpfs", 0, size) == 0;
}

/// No file may grow beyond `bytes`: writes fail inside HDF5, as on a disk where space cannot be reserved.
bool limit_file_size(rlim_t bytes) {
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

template <class F>
Outcome in_child(F&& work) {
  void* memory = ::mmap(nullptr, sizeof(Outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  auto* outcome = new (memory) Outcome;
  CHECK(samples::wait_for(samples::in_child([&] {
          ::alarm(60);  // a hang is a failure
          work(*outcome);
        })) == 0);
  const Outcome result = *outcome;
  ::munmap(memory, sizeof(Outcome));
  return result;
}

void check_full(const Outcome& outcome) {
  REQUIRE(outcome.prepared);
  CHECK_THAT(outcome.message, tests::contains("run.h5") && tests::contains("no space left"));
  CHECK(std::strchr(outcome.message, '\n') == nullptr);
  CHECK(outcome.second_error);
  CHECK(outcome.end_s >= 0);
  CHECK(outcome.end_s < 5);
  CHECK(outcome.flushed > 0);
}

}  // namespace

TEST_CASE("a disk that fills up") {
  const tests::TemporaryFolder folder;
  const auto outcome = in_child([&](Outcome& seen) {
    // Without the right to mount, a limit on the file's size stands in for the small disk.
    seen.prepared = mount_small_disk(folder.path(), "size=2m") || limit_file_size(600'000);
    fill(folder.path() / "run.h5", seen);
    seen.kept = static_cast<std::int64_t>(read(folder.path() / "run.h5").steps.size());
  });
  check_full(outcome);
  CHECK(outcome.kept == outcome.flushed);
}

TEST_CASE("a write that fails inside HDF5") {
  const tests::TemporaryFolder folder;
  const auto outcome = in_child([&](Outcome& seen) {
    seen.prepared = limit_file_size(600'000);
    fill(folder.path() / "run.h5", seen);
  });
  check_full(outcome);
  const Run run = read(folder.path() / "run.h5");
  CHECK(static_cast<std::int64_t>(run.steps.size()) >= outcome.flushed);
  CHECK_FALSE(run.clean_close);
}

TEST_CASE("a disk that is full from the start") {
  const tests::TemporaryFolder folder;
  const auto outcome = in_child([&](Outcome& seen) {
    seen.prepared = mount_small_disk(folder.path(), "size=8k") || limit_file_size(1000);
    try {
      Writer writer(folder.path() / "run.h5", samples::info());
    } catch (const UserError& error) {
      keep_message(seen, error);
    }
    seen.kept = std::distance(std::filesystem::directory_iterator(folder.path()), {});
  });
  REQUIRE(outcome.prepared);
  CHECK_THAT(outcome.message, tests::contains("run.h5") && tests::contains("no space left"));
  CHECK(outcome.kept == 0);  // not even a temporary file
}
