// NVML (NVIDIA Management Library), loaded at run time: neither building nor starting needs it. Types and constants are
// written from NVIDIA's "NVML API Reference Guide" (docs.nvidia.com/deploy/nvml-api), whose ABI has been stable since
// driver 418; a user declares the functions that it calls.
#pragma once

#include <dlfcn.h>

#include <string>

namespace gpumonth::machine::nvml {

using Device = struct NvmlDevice*;      // nvmlDevice_t
using Return = int;                     // nvmlReturn_t
constexpr Return kSuccess = 0;          // NVML_SUCCESS
constexpr unsigned kVersionChars = 80;  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE

class Library {
 public:
  explicit Library(const std::string& file) : library_(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!library_) return;
    const auto init = find<Return (*)()>("nvmlInit_v2");
    running_ = init && init() == kSuccess;
  }
  ~Library() {
    const auto shutdown = running_ ? find<Return (*)()>("nvmlShutdown") : nullptr;
    if (shutdown) shutdown();
    if (library_) dlclose(library_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  bool loaded() const { return library_ != nullptr; }
  bool running() const { return running_; }

  /// Null where the library lacks it. Only where loaded().
  template <class Function>
  Function find(const char* name) const {
    return reinterpret_cast<Function>(dlsym(library_, name));
  }

  /// Calls `name`; false where the library lacks it or it fails. Only where loaded().
  template <class... Arguments>
  bool ask(const char* name, Arguments... arguments) const {
    const auto function = find<Return (*)(Arguments...)>(name);
    return function && function(arguments...) == kSuccess;
  }

 private:
  void* library_;
  bool running_ = false;
};

}  // namespace gpumonth::machine::nvml
