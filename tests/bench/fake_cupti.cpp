// A CUPTI that has seen three things on a GPU: a kernel of a graph, a copy and a fill, and gives them in two buffers.
#include <cupti.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

CUpti_BuffersCallbackRequestFunc request = nullptr;
CUpti_BuffersCallbackCompleteFunc complete = nullptr;
unsigned enabled = 0;  // a bit for each kind that was asked for

CUpti_ActivityKernel10 kernel() {
  CUpti_ActivityKernel10 k{};
  k.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
  k.start = 5'000'000'000'000;
  k.end = 5'000'000'001'500;
  k.streamId = 7;
  k.graphId = 3;
  k.gridX = 4, k.gridY = 5, k.gridZ = 2;
  k.blockX = 128, k.blockY = 2, k.blockZ = 1;
  k.registersPerThread = 96;
  k.staticSharedMemory = 1024, k.dynamicSharedMemory = 2048;
  k.name = "_ZN8gpumonth3ops12adamw_kernelEv";
  return k;
}

CUpti_ActivityMemcpy6 copy() {
  CUpti_ActivityMemcpy6 m{};
  m.kind = CUPTI_ACTIVITY_KIND_MEMCPY;
  m.start = 20, m.end = 30, m.streamId = 7, m.copyKind = CUPTI_ACTIVITY_MEMCPY_KIND_HTOD, m.bytes = 4096;
  return m;
}

CUpti_ActivityMemset4 fill() {
  CUpti_ActivityMemset4 m{};
  m.kind = CUPTI_ACTIVITY_KIND_MEMSET;
  m.start = 40, m.end = 44, m.streamId = 9;
  return m;
}

template <class Record>
std::size_t put(std::uint8_t* buffer, std::size_t at, const Record& record) {
  if ((enabled >> record.kind & 1) == 0) return at;
  std::memcpy(buffer + at, &record, sizeof record);
  return at + sizeof record;
}

std::size_t size_of(const CUpti_Activity& record) {
  switch (record.kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: return sizeof(CUpti_ActivityKernel10);
    case CUPTI_ACTIVITY_KIND_MEMCPY: return sizeof(CUpti_ActivityMemcpy6);
    default: return sizeof(CUpti_ActivityMemset4);
  }
}

}  // namespace

extern "C" {

CUptiResult cuptiGetResultString(CUptiResult, const char** text) {
  *text = "some error";
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc requested,
                                           CUpti_BuffersCallbackCompleteFunc completed) {
  request = requested;
  complete = completed;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind) {
  enabled |= 1u << kind;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityGetNextRecord(std::uint8_t* buffer, std::size_t valid, CUpti_Activity** record) {
  auto* next = *record == nullptr ? buffer : reinterpret_cast<std::uint8_t*>(*record) + size_of(**record);
  if (next >= buffer + valid) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = reinterpret_cast<CUpti_Activity*>(next);
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityFlushAll(std::uint32_t) {
  std::uint8_t* buffer = nullptr;
  std::size_t size = 0, records = 0;
  request(&buffer, &size, &records);
  complete(nullptr, 0, buffer, size, put(buffer, 0, kernel()));
  request(&buffer, &size, &records);
  complete(nullptr, 0, buffer, size, put(buffer, put(buffer, 0, copy()), fill()));
  return CUPTI_SUCCESS;
}

}  // extern "C"
