// fp32 <-> bf16 of a bucket on its way to the wire and back, and sums on their way to a shard. All only enqueue on `stream`;
// any alignment.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace gpumonth::comm {

/// Rounded to nearest even; `bf16` holds `count` 2-byte values.
void cast_to_bf16(const float* values, void* bf16, std::int64_t count, cudaStream_t stream);
void cast_from_bf16(const void* bf16, float* values, std::int64_t count, cudaStream_t stream);

/// to[i] = values[i], or += where `add`.
void copy_or_add(const float* values, float* to, std::int64_t count, bool add, cudaStream_t stream);

}  // namespace gpumonth::comm
