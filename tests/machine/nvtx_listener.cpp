// A profiler of our own, which NVTX loads where NVTX_INJECTION64_PATH names it: appends a line "THREAD push NAME" or
// "THREAD pop" for every range to the file NVTX_LISTENER_OUTPUT.
#include <fcntl.h>
#include <nvtx3/nvToolsExt.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace {

void say(const char* what, const char* name) {
  static const int file = open(std::getenv("NVTX_LISTENER_OUTPUT"), O_WRONLY | O_CREAT | O_APPEND, 0644);
  char line[128];
  const int length = std::snprintf(line, sizeof line, "%d %s %s\n", static_cast<int>(gettid()), what, name);
  if (write(file, line, static_cast<std::size_t>(length)) != length) std::abort();
}

int NVTX_API push(const char* name) {
  say("push", name);
  return 0;
}
int NVTX_API pop() {
  say("pop", "");
  return 0;
}

}  // namespace

extern "C" int NVTX_API InitializeInjectionNvtx2(NvtxGetExportTableFunc_t table_of) {
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(table_of(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable functions = nullptr;
  unsigned size = 0;
  if (!callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &functions, &size)) return 0;
  if (size <= NVTX_CBID_CORE_RangePop) return 0;
  *functions[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(&push);
  *functions[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(&pop);
  return 1;
}
