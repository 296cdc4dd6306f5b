// SPDX-License-Identifier: Apache-2.0
// See hopper_attention.h. Softmax along the way (Milakov and Gimelshein 2018; Dao 2022), laid out for Hopper
// as FlashAttention-3 describes it (Shah et al. 2024): one warp fetches tiles through the copy engine; two
// warpgroups of 64 queries each take turns, one multiplying while the other's exponentials run, and each
// multiplies the next tile's scores while it still adds up the last one's values. Queries and weights stay in
// registers, so that shared memory feeds only keys and values.
//
// With heads of 64 a tile's exponentials take as long as its products (4 x 64 x 64 x 128 operations at 4096 a
// cycle against 64 x 128 exponentials at 16): the turns are what this kernel is about.
#include "core/cuda/hopper_attention.h"

#include "core/cuda/hopper.cuh"

namespace rgbd::cuda {
namespace {

using namespace hopper;

constexpr int kHead = 64;
constexpr int kQueries = 128;           // of a tile, 64 to a warpgroup
constexpr int kKeys = 128;              // of a step
constexpr int kStages = 3;              // steps under way in shared memory
constexpr int kTile = 128 * kHead * 2;  // bytes
constexpr int kThreads = 384;           // a warpgroup that fetches, two that compute
constexpr float kLog2E = 1.4426950408889634f;
// The running maximum is followed only when it grows by more than this, in powers of two: weights stay below
// 2^8, far from fp16's end, and sums are rarely rescaled.
constexpr float kSlack = 8.0f;

struct Shared {
  alignas(1024) uint8_t queries[kTile];
  alignas(1024) uint8_t keys[kStages][kTile];
  alignas(1024) uint8_t values[kStages][kTile];
  alignas(1024) uint8_t out[kTile];
  uint64_t queries_full, queries_empty;
  uint64_t keys_full[kStages], keys_empty[kStages], values_full[kStages], values_empty[kStages];
};

__device__ uint32_t pack(float a, float b, __half) {
  const __half2 pair = __floats2half2_rn(a, b);
  return reinterpret_cast<const uint32_t&>(pair);
}
__device__ uint32_t pack(float a, float b, __nv_bfloat16) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  return reinterpret_cast<const uint32_t&>(pair);
}

__device__ float exp2_of(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// The largest and the sum over the four lanes that share a row.
__device__ float largest_of_row(float v) {
  v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}
__device__ float sum_of_row(float v) {
  v += __shfl_xor_sync(0xffffffffu, v, 1);
  return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

// A position in a ring of stages; the phase turns at every round.
struct Ring {
  int stage = 0;
  uint32_t phase = 0;
  __device__ void next() {
    if (++stage == kStages) stage = 0, phase ^= 1;
  }
};

struct Work {
  int tokens, heads, query_tiles, steps, tiles;
};

__device__ void fetch_all(Shared& shared, const CUtensorMap& map, const Work& work) {
  Ring keys, values;
  uint32_t round = 0;
  for (int tile = blockIdx.x; tile < work.tiles; tile += gridDim.x, round ^= 1) {
    const int head = tile / work.query_tiles % work.heads, frame = tile / work.query_tiles / work.heads;
    auto next = [&](Ring& ring, uint8_t(&tiles)[kStages][kTile], uint64_t(&full)[kStages],
                    uint64_t(&empty)[kStages], int step, int slot) {
      wait(empty[ring.stage], ring.phase ^ 1);
      fetch(tiles[ring.stage], full[ring.stage], kTile, map, step * kKeys, slot, frame);
      ring.next();
    };
    wait(shared.queries_empty, round ^ 1);
    fetch(shared.queries, shared.queries_full, kTile, map, tile % work.query_tiles * kQueries, head, frame);
    // In the order in which they are asked for.
    for (int step = 0; step <= work.steps; ++step) {
      if (step < work.steps) {
        next(keys, shared.keys, shared.keys_full, shared.keys_empty, step, work.heads + head);
      }
      if (step > 0) {
        next(values, shared.values, shared.values_full, shared.values_empty, step - 1, 2 * work.heads + head);
      }
    }
  }
}

// A warpgroup's 64 queries: a thread has 2 rows, 8 apart, of which it holds every fourth pair of columns.
template <typename T>
class Consumer {
 public:
  __device__ Consumer(Shared& shared, const Work& work, T* out, int group)
      : shared_(shared), work_(work), out_(out), group_(group) {}

  __device__ void run() {
    // The first group need not wait for its first turn.
    if (group_ == 1) give_turn();
    uint32_t round = 0;
    for (int tile = blockIdx.x; tile < work_.tiles; tile += gridDim.x, round ^= 1) attend(tile, round);
  }

 private:
  __device__ static int lane() { return threadIdx.x % 32; }
  __device__ static int warp() { return threadIdx.x / 32 % 4; }

  __device__ void take_turn() { asm volatile("bar.sync %0, 256;" ::"r"(1 + group_) : "memory"); }
  __device__ void give_turn() { asm volatile("bar.arrive %0, 256;" ::"r"(2 - group_) : "memory"); }

  __device__ static void release(uint64_t& barrier) {
    if (lane() == 0) arrive(barrier);
  }

  __device__ void load_queries() {
    const uint8_t* rows = shared_.queries + group_ * kTile / 2 + warp() * 16 * 128;
    const int row = lane() % 16;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const int chunk = 2 * c + lane() / 16;  // of 16 bytes
      const uint32_t from = address(rows + row * 128 + ((chunk ^ (row & 7)) << 4));
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(q_[4 * c]), "=r"(q_[4 * c + 1]), "=r"(q_[4 * c + 2]), "=r"(q_[4 * c + 3])
                   : "r"(from)
                   : "memory");
    }
  }

  __device__ void begin_scores(float (&s)[64]) {
    const uint64_t keys = descriptor(shared_.keys[keys_.stage]);
    fence();
#pragma unroll
    for (int c = 0; c < 4; ++c) multiply_keys(s, q_ + 4 * c, keys + 2 * c, c > 0, T());
    commit();
  }
  __device__ void begin_sums(float (&o)[32], const uint32_t (&p)[32]) {
    const uint64_t values = descriptor(shared_.values[values_.stage]);
    fence();
#pragma unroll
    for (int c = 0; c < 8; ++c) multiply_values(o, p + 4 * c, values + 128 * c, true, T());
    commit();
  }

  // Scores to weights 2^(scale (s - m)). Returns whether the sums so far must be multiplied by `scale`, per
  // row.
  __device__ bool weigh(float (&s)[64], float (&scale)[2], int valid) {
    if (valid < kKeys) {
#pragma unroll
      for (int i = 0; i < 64; ++i)
        if (i / 4 * 8 + lane() % 4 * 2 + i % 2 >= valid) s[i] = -INFINITY;
    }
    float largest[2] = {s[0], s[2]};
#pragma unroll
    for (int i = 0; i < 64; i += 4) {
      largest[0] = fmaxf(largest[0], fmaxf(s[i], s[i + 1]));
      largest[1] = fmaxf(largest[1], fmaxf(s[i + 2], s[i + 3]));
    }
    constexpr float kScale = 0.125f * kLog2E;
    bool grown = false;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float m = largest_of_row(largest[r]) * kScale;
      scale[r] = 1;
      if (m > m_[r] + kSlack) {
        scale[r] = exp2_of(m_[r] - m);
        m_[r] = m;
        grown = true;
      }
      l_[r] *= scale[r];
    }
    float sums[4] = {};
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      s[i] = exp2_of(s[i] * kScale - m_[i / 2 % 2]);
      sums[i % 4] += s[i];
    }
    l_[0] += sums[0] + sums[1];
    l_[1] += sums[2] + sums[3];
    return grown;
  }

  // Behind the last products that read p: what is written while they run makes the compiler run them one by
  // one.
  __device__ static void pack_all(float (&s)[64], uint32_t (&p)[32]) {
    settle(s);
#pragma unroll
    for (int i = 0; i < 32; ++i) p[i] = pack(s[2 * i], s[2 * i + 1], T());
    settle(p);
  }

  __device__ void attend(int tile, uint32_t round) {
    wait(shared_.queries_full, round);
    load_queries();
    __syncwarp();
    release(shared_.queries_empty);

    float s[64], o[32] = {};
    uint32_t p[32];
    float scale[2];
    m_[0] = m_[1] = -1e30f;
    l_[0] = l_[1] = 0;
    const int last = work_.tokens - (work_.steps - 1) * kKeys;  // keys of the last step
    wait(shared_.keys_full[keys_.stage], keys_.phase);
    begin_scores(s);
    wait_products<0>();
    release(shared_.keys_empty[keys_.stage]);
    keys_.next();
    settle(s);
    weigh(s, scale, work_.steps == 1 ? last : kKeys);
    pack_all(s, p);
    for (int step = 1; step < work_.steps; ++step) {
      wait(shared_.keys_full[keys_.stage], keys_.phase);
      take_turn();
      begin_scores(s);
      wait(shared_.values_full[values_.stage], values_.phase);
      begin_sums(o, p);
      give_turn();
      wait_products<1>();
      settle(s);
      release(shared_.keys_empty[keys_.stage]);
      keys_.next();
      const bool grown = weigh(s, scale, step == work_.steps - 1 ? last : kKeys);
      wait_products<0>();
      settle(o);
      release(shared_.values_empty[values_.stage]);
      values_.next();
      pack_all(s, p);
      if (grown) {
#pragma unroll
        for (int i = 0; i < 32; ++i) o[i] *= scale[i / 2 % 2];
      }
      settle(o);
    }
    wait(shared_.values_full[values_.stage], values_.phase);
    begin_sums(o, p);
    wait_products<0>();
    settle(o);
    release(shared_.values_empty[values_.stage]);
    values_.next();
    write(o, tile);
  }

  // Through shared memory, so that rows leave in whole lines.
  __device__ void write(const float (&o)[32], int tile) {
    uint8_t* rows = shared_.out + group_ * kTile / 2 + warp() * 16 * 128;
    const float inverse[2] = {1 / sum_of_row(l_[0]), 1 / sum_of_row(l_[1])};
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int row = lane() / 4 + 8 * r;
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        *reinterpret_cast<uint32_t*>(rows + row * 128 + ((c ^ (row & 7)) << 4) + lane() % 4 * 4) =
            pack(o[4 * c + 2 * r] * inverse[r], o[4 * c + 2 * r + 1] * inverse[r], T());
      }
    }
    __syncwarp();
    const int head = tile / work_.query_tiles % work_.heads;
    const int64_t frame = tile / work_.query_tiles / work_.heads;
    const int first = tile % work_.query_tiles * kQueries + group_ * 64 + warp() * 16;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = 4 * i + lane() / 8, chunk = lane() % 8;
      if (first + row >= work_.tokens) continue;
      T* to = out_ + ((frame * work_.tokens + first + row) * work_.heads + head) * kHead + chunk * 8;
      *reinterpret_cast<uint4*>(to) =
          *reinterpret_cast<const uint4*>(rows + row * 128 + ((chunk ^ (row & 7)) << 4));
    }
    __syncwarp();
  }

  Shared& shared_;
  const Work& work_;
  T* const out_;
  const int group_;
  Ring keys_, values_;
  uint32_t q_[16];
  float m_[2],
      l_[2];  // per row: the maximum that weights refer to (scaled), their sum over this lane's columns
};

template <typename T>
__global__ void __launch_bounds__(kThreads, 1)
    attention_kernel(const __grid_constant__ CUtensorMap map, T* out, const Work work) {
  extern __shared__ uint8_t memory[];
  Shared& shared =
      *reinterpret_cast<Shared*>((reinterpret_cast<uintptr_t>(memory) + 1023) & ~uintptr_t{1023});
  if (threadIdx.x == 0) {
    constexpr int kWarps = 8;  // that compute
    init(shared.queries_full, 1);
    init(shared.queries_empty, kWarps);
    for (int i = 0; i < kStages; ++i) {
      init(shared.keys_full[i], 1);
      init(shared.values_full[i], 1);
      init(shared.keys_empty[i], kWarps);
      init(shared.values_empty[i], kWarps);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x == 0) fetch_all(shared, map, work);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    Consumer<T>(shared, work, out, threadIdx.x / 128 - 1).run();
  }
}

using Encode = decltype(&cuTensorMapEncodeTiled);

Encode encode_function() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                       &found) != cudaSuccess) {
    return nullptr;
  }
  return found == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(function) : nullptr;
}

template <typename T>
const char* launch(const CUtensorMap& map, void* out, const Work& work, cudaStream_t stream) {
  constexpr int kBytes = sizeof(Shared) + 1024;
  int device = 0, processors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  const auto set =
      cudaFuncSetAttribute(attention_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (set != cudaSuccess) return cudaGetErrorString(set);
  const int blocks = work.tiles < processors ? work.tiles : processors;
  attention_kernel<T><<<blocks, kThreads, kBytes, stream>>>(map, static_cast<T*>(out), work);
  const auto launched = cudaGetLastError();
  return launched == cudaSuccess ? nullptr : cudaGetErrorString(launched);
}

}  // namespace

const char* hopper_attention(const void* qkv, void* out, Element element, int64_t batch, int64_t tokens,
                             int64_t heads, cudaStream_t stream) {
  static const Encode encode = encode_function();
  if (!encode) return "the driver has no cuTensorMapEncodeTiled";
  CUtensorMap map;
  const cuuint64_t row = static_cast<cuuint64_t>(3 * heads * kHead * 2);  // bytes
  const cuuint64_t sizes[] = {kHead, static_cast<cuuint64_t>(tokens), static_cast<cuuint64_t>(3 * heads),
                              static_cast<cuuint64_t>(batch)};
  const cuuint64_t strides[] = {row, kHead * 2, row * static_cast<cuuint64_t>(tokens)};
  const cuuint32_t box[] = {kHead, kKeys, 1, 1}, steps[] = {1, 1, 1, 1};
  const auto type =
      element == Element::kFp16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  if (encode(&map, type, 4, const_cast<void*>(qkv), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) != CUDA_SUCCESS) {
    return "no tensor map fits the projections";
  }
  Work work;
  work.tokens = static_cast<int>(tokens), work.heads = static_cast<int>(heads);
  work.query_tiles = static_cast<int>((tokens + kQueries - 1) / kQueries);
  work.steps = static_cast<int>((tokens + kKeys - 1) / kKeys);
  work.tiles = static_cast<int>(batch * heads * work.query_tiles);
  return element == Element::kFp16 ? launch<__half>(map, out, work, stream)
                                   : launch<__nv_bfloat16>(map, out, work, stream);
}

}  // namespace rgbd::cuda
