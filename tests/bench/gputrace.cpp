// Records every kernel, copy and fill of a CUDA program with its begin and end on the GPU, those of replayed graphs too
// and writes them as CSV when the program ends. A stand-in for nsys where nsys is missing.
//
//   CUDA_INJECTION64_PATH=.../libgputrace.so GPUTRACE_OUT=trace.csv PROGRAM...      ({pid} in the name is replaced)
//
// Columns: start_ns, end_ns, stream, graph (0: launched by a call), blocks, threads, registers, shared_bytes, name.
// gpu_trace_table.py beside this prints what one step spends where. CUPTI is loaded when the program starts, from
// LD_LIBRARY_PATH: a bundle is built where only its headers are.
#include <cupti.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <type_traits>

namespace {

std::mutex mutex;
std::FILE* file;
constexpr std::size_t kBufferBytes = 16 << 20;

/// What is called of CUPTI; all null where it is missing or lacks one of them.
struct Cupti {
  decltype(&cuptiGetResultString) result_string = nullptr;
  decltype(&cuptiActivityGetNextRecord) next_record = nullptr;
  decltype(&cuptiActivityFlushAll) flush_all = nullptr;
  decltype(&cuptiActivityRegisterCallbacks) register_callbacks = nullptr;
  decltype(&cuptiActivityEnable) enable = nullptr;
};
Cupti cupti;

bool load_cupti() {
  const std::string name = "libcupti.so." + std::to_string(CUPTI_API_VERSION / 10000);
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "gputrace: %s: its folder belongs into LD_LIBRARY_PATH\n", dlerror());
    return false;
  }
  const auto load = [library](auto& function, const char* symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
    if (function == nullptr) std::fprintf(stderr, "gputrace: CUPTI has no %s\n", symbol);
    return function != nullptr;
  };
  return load(cupti.result_string, "cuptiGetResultString") && load(cupti.next_record, "cuptiActivityGetNextRecord") &&
         load(cupti.flush_all, "cuptiActivityFlushAll") &&
         load(cupti.register_callbacks, "cuptiActivityRegisterCallbacks") && load(cupti.enable, "cuptiActivityEnable");
}

void check(CUptiResult result, const char* what) {
  if (result == CUPTI_SUCCESS) return;
  const char* text = "?";
  cupti.result_string(result, &text);
  std::fprintf(stderr, "gputrace: %s: %s\n", what, text);
}

void CUPTIAPI requested(std::uint8_t** buffer, std::size_t* size, std::size_t* records) {
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(8, kBufferBytes));
  *size = kBufferBytes;
  *records = 0;
}

void write_kernel(const CUpti_ActivityKernel10& k) {
  std::fprintf(file, "%" PRIu64 ",%" PRIu64 ",%u,%u,%d,%d,%u,%d,\"%s\"\n", k.start, k.end, k.streamId, k.graphId,
               k.gridX * k.gridY * k.gridZ, k.blockX * k.blockY * k.blockZ, k.registersPerThread,
               k.staticSharedMemory + k.dynamicSharedMemory, k.name);
}

void write_copy(const CUpti_ActivityMemcpy6& m) {
  std::fprintf(file, "%" PRIu64 ",%" PRIu64 ",%u,%u,0,0,0,0,\"memcpy kind %d %" PRIu64 " bytes\"\n", m.start, m.end,
               m.streamId, m.graphId, m.copyKind, m.bytes);
}

void write_fill(const CUpti_ActivityMemset4& m) {
  std::fprintf(file, "%" PRIu64 ",%" PRIu64 ",%u,%u,0,0,0,0,\"memset\"\n", m.start, m.end, m.streamId, m.graphId);
}

void CUPTIAPI completed(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid) {
  const std::lock_guard lock(mutex);
  CUpti_Activity* record = nullptr;
  while (file != nullptr && valid > 0 && cupti.next_record(buffer, valid, &record) == CUPTI_SUCCESS) {
    switch (record->kind) {
      case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
      case CUPTI_ACTIVITY_KIND_KERNEL: write_kernel(*reinterpret_cast<const CUpti_ActivityKernel10*>(record)); break;
      case CUPTI_ACTIVITY_KIND_MEMCPY: write_copy(*reinterpret_cast<const CUpti_ActivityMemcpy6*>(record)); break;
      case CUPTI_ACTIVITY_KIND_MEMSET: write_fill(*reinterpret_cast<const CUpti_ActivityMemset4*>(record)); break;
      default: break;
    }
  }
  std::free(buffer);
}

void finish() {
  check(cupti.flush_all(1), "flush");
  const std::lock_guard lock(mutex);
  if (file != nullptr) std::fclose(file);
  file = nullptr;
}

}  // namespace

/// What CUDA calls in the library that CUDA_INJECTION64_PATH names.
extern "C" int InitializeInjection() {
  if (!load_cupti()) return 0;
  const char* given = std::getenv("GPUTRACE_OUT");
  std::string path = given != nullptr ? given : "gputrace-{pid}.csv";
  if (const auto at = path.find("{pid}"); at != std::string::npos) path.replace(at, 5, std::to_string(getpid()));
  file = std::fopen(path.c_str(), "w");
  if (file == nullptr) {
    std::perror(path.c_str());
    return 0;
  }
  std::fputs("start_ns,end_ns,stream,graph,blocks,threads,registers,shared_bytes,name\n", file);
  check(cupti.register_callbacks(requested, completed), "register");
  check(cupti.enable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "kernels");
  check(cupti.enable(CUPTI_ACTIVITY_KIND_MEMCPY), "copies");
  check(cupti.enable(CUPTI_ACTIVITY_KIND_MEMSET), "fills");
  std::atexit(finish);
  return 1;
}
