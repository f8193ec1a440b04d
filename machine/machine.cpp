#include "machine/machine.h"

#include <sched.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>
#include <thread>

#include "machine/threads.h"

namespace gpumonth::machine {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The value of the first "key : value" line of /proc/cpuinfo.
std::string cpuinfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const auto colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
  }
  return "";
}

/// The folder of this process's cgroup (v2), or the root that a container sees.
std::string cgroup_folder() {
  const std::string line = first_line("/proc/self/cgroup");
  const std::string folder = "/sys/fs/cgroup" + (line.rfind("0::", 0) == 0 ? line.substr(3) : "");
  return access((folder + "/cgroup.procs").c_str(), R_OK) == 0 ? folder : "/sys/fs/cgroup";
}

/// Cores of CPU time per second that the cgroup grants; 0: no limit.
double cgroup_cores() {
  std::istringstream v2(first_line(cgroup_folder() + "/cpu.max"));  // "200000 100000" or "max 100000"
  double quota = 0, period = 0;
  if (v2 >> quota >> period) return quota / period;
  std::istringstream v1(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"));
  std::istringstream v1_period(first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  return v1 >> quota && v1_period >> period && quota > 0 ? quota / period : 0;
}

std::int64_t cgroup_memory_bytes() {
  for (const std::string& file :
       {cgroup_folder() + "/memory.max", std::string("/sys/fs/cgroup/memory/memory.limit_in_bytes")}) {
    std::istringstream text(first_line(file));
    std::int64_t bytes = 0;
    if (text >> bytes && bytes > 0) return bytes;
  }
  return std::numeric_limits<std::int64_t>::max();
}

int cores_by_affinity() {
  // large enough for any machine: sched_getaffinity fails with a set smaller than the kernel's
  std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(8192), [](cpu_set_t* s) { CPU_FREE(s); });
  const std::size_t size = CPU_ALLOC_SIZE(8192);
  if (sched_getaffinity(0, size, set.get()) != 0) return 1;
  return CPU_COUNT_S(size, set.get());
}

std::vector<std::string> isa_flags() {
  std::istringstream all(cpuinfo("flags"));
  std::vector<std::string> wanted = {"avx2",        "fma",      "avx512f",  "avx512_vnni", "avx512_bf16",
                                     "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16"};
  std::vector<std::string> have, found;
  for (std::string flag; all >> flag;) have.push_back(flag);
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(found),
               [&](const std::string& flag) { return std::find(have.begin(), have.end(), flag) != have.end(); });
  return found;
}

}  // namespace

Machine this_machine() {
  Machine machine;
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  machine.host = host;
  machine.cpu = cpuinfo("model name");
  if (machine.cpu.empty()) machine.cpu = "unknown CPU";
  machine.cores_of_host = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  machine.cgroup_cores = cgroup_cores();
  machine.cores = cores_by_affinity();
  if (machine.cgroup_cores > 0) {
    machine.cores = std::clamp(static_cast<int>(std::floor(machine.cgroup_cores)), 1, machine.cores);
  }
  machine.isa = isa_flags();
  const std::int64_t ram = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  machine.memory_bytes = std::min(ram, cgroup_memory_bytes());
  return machine;
}

int default_threads(const Machine& machine, int ranks_on_host) {
  const bool bound = machine.cores * ranks_on_host <= machine.cores_of_host;
  return available_threads(std::max(1, bound ? machine.cores : machine.cores / ranks_on_host));
}

double measure_copy_bandwidth(int threads) {
  constexpr std::size_t kBytes = 128u << 20;  // per array, over all threads: larger than most last-level caches
  constexpr int kRepeats = 5;
  const std::size_t part = kBytes / static_cast<std::size_t>(threads);
  const auto from = std::make_unique<char[]>(kBytes), to = std::make_unique_for_overwrite<char[]>(kBytes);
  const auto copy_once = [&] {
    std::vector<std::thread> team;
    const auto start = std::chrono::steady_clock::now();
    for (int t = 0; t < threads; ++t) {
      const std::size_t begin = part * static_cast<std::size_t>(t);
      team.emplace_back([&, begin] { std::memcpy(to.get() + begin, from.get() + begin, part); });
    }
    for (std::thread& thread : team) thread.join();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  copy_once();  // page faults
  double best_s = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRepeats; ++i) best_s = std::min(best_s, copy_once());
  return 2.0 * static_cast<double>(part) * threads / best_s;
}

}  // namespace gpumonth::machine
