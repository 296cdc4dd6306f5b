// SPDX-License-Identifier: Apache-2.0
// Runs the light network's kernels on the CPU, one thread of a block after the other up to the next barrier,
// so that a machine without GPU can test what they compute. Include before a .cu file, compile as C++.
// What it cannot show: races inside a warp or between blocks, speed.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#undef __shared__
#define __shared__ static  // blocks run one after the other
#undef __launch_bounds__
#define __launch_bounds__(...)

namespace rgbd::test::emulated {

enum class Waits { kNothing, kWarp, kBlock, kEnded };

struct Thread {
  ucontext_t context;
  std::vector<char> stack;
  Waits waits = Waits::kNothing;
  int warp_operations = 0;
};

/// The block that runs. One at a time, on the calling thread.
struct Block {
  std::vector<Thread> threads;
  ucontext_t scheduler;
  size_t current = 0;
  std::function<void()> body;
  std::vector<unsigned char> dynamic;
  // What lanes show each other, by the parity of the operation: a lane may be one ahead.
  struct Lane {
    const void* row;
    uint32_t a[4];
    uint2 b;
  };
  std::vector<Lane> lanes[2];
};
inline Block block;
inline dim3 block_index, thread_index;

inline void wait(Waits what) {
  block.threads[block.current].waits = what;
  swapcontext(&block.threads[block.current].context, &block.scheduler);
}
inline void run_thread() {
  block.body();
  wait(Waits::kEnded);
}

/// Aborts where threads wait for others that never come.
inline void run_block(int threads) {
  constexpr size_t kStack = 64 << 10;
  if (block.threads.size() < static_cast<size_t>(threads)) block.threads.resize(threads);
  for (auto& lanes : block.lanes) lanes.resize(threads);
  for (int i = 0; i < threads; ++i) {
    auto& thread = block.threads[i];
    thread.stack.resize(kStack);
    thread.waits = Waits::kNothing;
    thread.warp_operations = 0;
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = kStack;
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, run_thread, 0);
  }
  auto all_wait = [&](int begin, int end, Waits what) {
    bool any = false;
    for (int i = begin; i < end; ++i) {
      const auto waits = block.threads[i].waits;
      if (waits != what && waits != Waits::kEnded) return false;
      any |= waits == what;
    }
    return any;
  };
  auto release = [&](int begin, int end) {
    for (int i = begin; i < end; ++i)
      if (block.threads[i].waits != Waits::kEnded) block.threads[i].waits = Waits::kNothing;
  };
  for (bool progress = true; progress;) {
    progress = false;
    for (int i = 0; i < threads; ++i) {
      if (block.threads[i].waits != Waits::kNothing) continue;
      progress = true;
      block.current = i;
      thread_index = dim3(i, 0, 0);
      swapcontext(&block.scheduler, &block.threads[i].context);
    }
    for (int warp = 0; warp < threads; warp += 32)
      if (all_wait(warp, std::min(warp + 32, threads), Waits::kWarp))
        release(warp, std::min(warp + 32, threads)), progress = true;
    if (all_wait(0, threads, Waits::kBlock)) release(0, threads), progress = true;
  }
  for (int i = 0; i < threads; ++i)
    if (block.threads[i].waits != Waits::kEnded) std::abort();
}

/// Shows `lane` to the warp; returns everyone's.
inline Block::Lane* exchange(const Block::Lane& lane) {
  auto& thread = block.threads[block.current];
  auto& lanes = block.lanes[thread.warp_operations++ % 2];
  lanes[block.current] = lane;
  wait(Waits::kWarp);
  return lanes.data() + block.current / 32 * 32;
}

}  // namespace rgbd::test::emulated

#define threadIdx rgbd::test::emulated::thread_index
#define blockIdx rgbd::test::emulated::block_index

inline void __syncthreads() {
  rgbd::test::emulated::wait(rgbd::test::emulated::Waits::kBlock);
}
template <class T>
T atomicAdd(T* to, T value) {
  const T before = *to;
  *to += value;
  return before;
}
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
extern "C" inline cudaError_t emulated_memset(void* to, int value, size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
#define cudaMemsetAsync emulated_memset

namespace rgbd::cuda::light_kernels {

using std::max;
using std::min;

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, int threads, size_t shared_bytes, cudaStream_t,
            const Arguments&... arguments) {
  namespace emulated = test::emulated;
  emulated::block.dynamic.resize(shared_bytes + 16);
  emulated::block.body = [&] { kernel(arguments...); };
  for (unsigned z = 0; z < blocks.z; ++z)
    for (unsigned y = 0; y < blocks.y; ++y)
      for (unsigned x = 0; x < blocks.x; ++x) {
        emulated::block_index = dim3(x, y, z);
        // What a block finds in shared memory is anything.
        std::fill(emulated::block.dynamic.begin(), emulated::block.dynamic.end(), 0xff);
        emulated::run_block(threads);
      }
}

inline unsigned char* dynamic_shared() {
  auto* const bytes = test::emulated::block.dynamic.data();
  return bytes + (16 - reinterpret_cast<uintptr_t>(bytes) % 16) % 16;
}

inline void copy_16(void* shared, const void* global, bool inside) {
  if (reinterpret_cast<uintptr_t>(shared) % 16 || reinterpret_cast<uintptr_t>(global) % 16) std::abort();
  if (inside)
    std::memcpy(shared, global, 16);
  else
    std::memset(shared, 0, 16);
}
inline void copies_done() {}

inline void load_a(const void* row, uint32_t (&a)[4]) {
  if (reinterpret_cast<uintptr_t>(row) % 16) std::abort();
  const auto* const lanes = test::emulated::exchange({row, {}, {}});
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = 0; i < 4; ++i)
    std::memcpy(&a[i], static_cast<const char*>(lanes[8 * i + lane / 4].row) + 4 * (lane % 4), 4);
}

inline float to_float(float x);
inline float to_float(__half x);
inline float to_float(__nv_bfloat16 x);

template <class T>
void multiply_add(const uint32_t (&a)[4], uint2 b, float (&c)[4]) {
  const auto* const lanes = test::emulated::exchange({nullptr, {a[0], a[1], a[2], a[3]}, b});
  auto half_of = [](uint32_t two, unsigned which) {
    T value;
    std::memcpy(&value, reinterpret_cast<const char*>(&two) + 2 * which, 2);
    return to_float(value);
  };
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
    for (unsigned k = 0; k < 16; ++k) {
      const auto& of_a = lanes[row % 8 * 4 + k % 8 / 2];
      const auto& of_b = lanes[column * 4 + k % 8 / 2];
      c[i] += half_of(of_a.a[row / 8 + 2 * (k / 8)], k % 2) * half_of(k < 8 ? of_b.b.x : of_b.b.y, k % 2);
    }
  }
}

}  // namespace rgbd::cuda::light_kernels
