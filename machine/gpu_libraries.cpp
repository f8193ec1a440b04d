#include "machine/gpu_libraries.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace gpumonth::machine {
namespace {

/// The first of `files` that can be loaded; never unloaded, as CUDA libraries do not like that.
void* load(const std::vector<const char*>& files, std::string& why) {
  for (const char* file : files) {
    if (void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL)) return library;
    if (why.empty()) why = dlerror();
  }
  return nullptr;
}

template <class Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

std::string three_parts(std::size_t version, std::size_t major_unit) {
  return fmt::format("{}.{}.{}", version / major_unit, version % major_unit / 100, version % 100);
}

GpuLibrary nccl() {
  GpuLibrary found{.name = "NCCL", .version = "", .why = ""};
  void* library = load({"libnccl.so.2"}, found.why);
  const auto get = library ? find<int (*)(int*)>(library, "ncclGetVersion") : nullptr;
  int version = 0;
  if (get && get(&version) == 0) found.version = three_parts(static_cast<std::size_t>(version), 10000);
  return found;
}

GpuLibrary cublas() {
  GpuLibrary found{.name = "cuBLASLt", .version = "", .why = ""};
  void* library = load({"libcublasLt.so.13", "libcublasLt.so.12"}, found.why);
  // 130002 is 13.0.2
  if (const auto get = library ? find<std::size_t (*)()>(library, "cublasLtGetVersion") : nullptr)
    found.version = three_parts(get(), 10000);
  return found;
}

GpuLibrary cudnn() {
  GpuLibrary found{.name = "cuDNN", .version = "", .why = ""};
  void* library = load({"libcudnn.so.9"}, found.why);
  // 91002 is 9.10.2 since cuDNN 9
  if (const auto get = library ? find<std::size_t (*)()>(library, "cudnnGetVersion") : nullptr)
    found.version = three_parts(get(), 10000);
  return found;
}

}  // namespace

std::vector<GpuLibrary> gpu_libraries() { return {nccl(), cublas(), cudnn()}; }

}  // namespace gpumonth::machine
