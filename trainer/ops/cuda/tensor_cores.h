// Tensor cores and what feeds them, one PTX instruction a function (PTX ISA 7.0, sm_80 and up). A warp calls together;
// tests/emulator/tensor_cores.h takes this file's place on the CPU.
//
// With g = lane / 4 and t = lane % 4, a lane's register holds two bf16 neighbours (the lower half is the first):
//   a (16, 16)  a0: row g, columns 2t, 2t+1;  a1: row g+8;  a2, a3: the same rows, columns 2t+8, 2t+9
//   b (16, 8)   b0: rows 2t, 2t+1 of column g;  b1: rows 2t+8, 2t+9
//   c (16, 8)   fp32. c[0], c[1]: row g, columns 2t, 2t+1;  c[2], c[3]: row g+8
#pragma once

#include <cstdint>

#include "trainer/ops/bf16.h"

namespace gpumonth::ops::tensor_cores {

/// c += a b, (16, 16) by (16, 8)
__device__ inline void multiply_add(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t a2,
                                    std::uint32_t a3, std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// c += a b, (16, 8) by (8, 8)
__device__ inline void multiply_add(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(b0));
}

/// A place in shared memory, in 32 bits; + counts elements.
struct SharedRow {
  std::uint32_t bytes;
  __device__ explicit SharedRow(const bf16* at) : bytes(static_cast<std::uint32_t>(__cvta_generic_to_shared(at))) {}
  __device__ SharedRow operator+(int elements) const {
    SharedRow moved = *this;
    moved.bytes += static_cast<std::uint32_t>(elements) * 2;
    return moved;
  }
};

/// Four (8, 8) matrices from shared memory: lane l points to row l % 8 of matrix l / 8, 16 bytes aligned to 16. Of
/// matrix i, r[i] holds row g, columns 2t and 2t+1.
__device__ inline void load_matrices(std::uint32_t (&r)[4], SharedRow row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row.bytes)
               : "memory");
}

/// The same; r[i] holds column g, rows 2t and 2t+1.
__device__ inline void load_matrices_transposed(std::uint32_t (&r)[4], SharedRow row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row.bytes)
               : "memory");
}

/// Two fp32 rounded to nearest even, as one register.
__device__ inline std::uint32_t pack(float first, float second) {
  std::uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
  return packed;
}

/// 2^x to 2 ulp. Results below the normal numbers are 0; exp2_fast(-infinity) is 0.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Starts the copy of 16 bytes to shared memory, or of zeros where not `inside`; both ends aligned to 16.
__device__ inline void start_copy(bf16* shared, const bf16* global, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   static_cast<std::uint32_t>(__cvta_generic_to_shared(shared))),
               "l"(__cvta_generic_to_global(global)), "r"(inside ? 16 : 0)
               : "memory");
}

/// Waits for this thread's copies; the block's need a barrier as well.
__device__ inline void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

}  // namespace gpumonth::ops::tensor_cores
