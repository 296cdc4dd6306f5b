// SPDX-License-Identifier: Apache-2.0
// Hopper's own instructions: barriers in shared memory, the copy engine, warpgroup matrix products. Compute
// capability 9.0a only.
#pragma once

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace rgbd::cuda::hopper {

__device__ inline uint32_t address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

__device__ inline void init(uint64_t& barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address(&barrier)), "r"(arrivals));
}
__device__ inline void arrive(uint64_t& barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address(&barrier)) : "memory");
}
__device__ inline void expect(uint64_t& barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address(&barrier)), "r"(bytes)
               : "memory");
}
__device__ inline void wait(uint64_t& barrier, uint32_t parity) {
  asm volatile(
      "{ .reg .pred done; again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1; @!done bra again; "
      "}" ::"r"(address(&barrier)),
      "r"(parity)
      : "memory");
}

/// A box at (0, y, z, w) of a four-dimensional map into shared memory; `barrier` expects `bytes` and is told.
__device__ inline void fetch(void* to, uint64_t& barrier, int bytes, const CUtensorMap& map, int y, int z,
                             int w) {
  expect(barrier, bytes);
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, "
      "%5}], [%6];" ::"r"(address(to)),
      "l"(&map), "r"(0), "r"(y), "r"(z), "r"(w), "r"(address(&barrier))
      : "memory");
}

// Of a tile of 128-byte rows that the copy engine has swizzled: groups of eight rows follow each other.
__device__ inline uint64_t descriptor(const void* tile) {
  return static_cast<uint64_t>((address(tile) & 0x3ffff) >> 4) | (1ull << 16) | (64ull << 32) | (1ull << 62);
}

__device__ inline void fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int N>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

/// Registers that products are begun from, or have written, are settled here: the compiler may move arithmetic across
/// the instructions above, which then run one after the other.
template <int N>
__device__ inline void settle(float (&v)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(v[i])::"memory");
}
template <int N>
__device__ inline void settle(uint32_t (&v)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+r"(v[i])::"memory");
}

// clang-format off
#define RGBD_OUT8(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
                     "+f"(d[i + 6]), "+f"(d[i + 7])
#define RGBD_OUT32(i) RGBD_OUT8(i), RGBD_OUT8(i + 8), RGBD_OUT8(i + 16), RGBD_OUT8(i + 24)
#define RGBD_REGISTERS32 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
                         "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define RGBD_REGISTERS64 RGBD_REGISTERS32 \
                         ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, " \
                         "%49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define RGBD_MULTIPLY_KEYS(type) \
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %69, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type \
               " {" RGBD_REGISTERS64 "}, {%64, %65, %66, %67}, %68, p, 1, 1, 0; }" \
               : RGBD_OUT32(0), RGBD_OUT32(32) \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)))
#define RGBD_MULTIPLY_VALUES(type) \
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %37, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type \
               " {" RGBD_REGISTERS32 "}, {%32, %33, %34, %35}, %36, p, 1, 1, 1; }" \
               : RGBD_OUT32(0) \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)))
// clang-format on

/// d = a b (+ d where `add`), begun: a [64, 16] in registers, b 128 rows of 16 along them, d [64, 128].
__device__ inline void multiply_keys(float (&d)[64], const uint32_t* a, uint64_t b, bool add, __half) {
  RGBD_MULTIPLY_KEYS("f16");
}
__device__ inline void multiply_keys(float (&d)[64], const uint32_t* a, uint64_t b, bool add, __nv_bfloat16) {
  RGBD_MULTIPLY_KEYS("bf16");
}
/// The same with b 16 rows of 64, d [64, 64].
__device__ inline void multiply_values(float (&d)[32], const uint32_t* a, uint64_t b, bool add, __half) {
  RGBD_MULTIPLY_VALUES("f16");
}
__device__ inline void multiply_values(float (&d)[32], const uint32_t* a, uint64_t b, bool add,
                                       __nv_bfloat16) {
  RGBD_MULTIPLY_VALUES("bf16");
}

#undef RGBD_MULTIPLY_VALUES
#undef RGBD_MULTIPLY_KEYS
#undef RGBD_REGISTERS64
#undef RGBD_REGISTERS32
#undef RGBD_OUT32
#undef RGBD_OUT8

}  // namespace rgbd::cuda::hopper
