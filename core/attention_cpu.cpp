// SPDX-License-Identifier: Apache-2.0
// Tiles of 24 queries against blocks of keys, softmax computed as it goes along. Everything is kept
// transposed, with the 24 queries of a tile side by side in three vectors: both products then are one 4 x 24
// micro-kernel (12 accumulators, 3 loads, 4 broadcasts per step), and maximum, exponential and sum need no
// horizontal operation.
#include "core/attention_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include "core/rgbd.h"
#endif

namespace rgbd {

#if defined(__x86_64__)
namespace {

constexpr int64_t kDim = 64;      // of a head
constexpr int64_t kQueries = 24;  // of a tile
constexpr int64_t kKeys = 192;    // of a block: the scores (18 KiB) stay in the first-level cache
constexpr int64_t kGroup = 4;     // rows a micro-kernel makes

int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// 2^x for x <= 0, relative error 2.4e-7; about 0 below -126.
__attribute__((target("avx2,fma"), always_inline)) inline __m256 exp2(__m256 x) {
  x = _mm256_max_ps(x, _mm256_set1_ps(-126.0f));
  const __m256 whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m256 f = _mm256_sub_ps(x, whole);  // -0.5 .. 0.5
  // Minimax on that interval, 7.5e-8 before rounding.
  __m256 p = _mm256_set1_ps(1.32764718e-3f);
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(9.67554133e-3f));
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(5.55071327e-2f));
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(2.40221197e-1f));
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(6.93146967e-1f));
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.00000007f));
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

/// out[4][24] (+)= sum over `steps` of a[step][4]ᵀ b[step][24].
template <bool kAccumulate>
__attribute__((target("avx2,fma"), always_inline)) inline void multiply(int64_t steps, const float* a,
                                                                        const float* b, float* out) {
  __m256 c[kGroup][3];
#pragma GCC unroll 4
  for (int i = 0; i < kGroup; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j)
      c[i][j] = kAccumulate ? _mm256_loadu_ps(out + i * kQueries + 8 * j) : _mm256_setzero_ps();
#pragma GCC unroll 2
  for (int64_t step = 0; step < steps; ++step) {
    const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8), b2 = _mm256_loadu_ps(b + 16);
#pragma GCC unroll 4
    for (int i = 0; i < kGroup; ++i) {
      const __m256 x = _mm256_broadcast_ss(a + i);
      c[i][0] = _mm256_fmadd_ps(x, b0, c[i][0]);
      c[i][1] = _mm256_fmadd_ps(x, b1, c[i][1]);
      c[i][2] = _mm256_fmadd_ps(x, b2, c[i][2]);
    }
    a += kGroup;
    b += kQueries;
  }
#pragma GCC unroll 4
  for (int i = 0; i < kGroup; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) _mm256_storeu_ps(out + i * kQueries + 8 * j, c[i][j]);
}

/// One head's keys as [T / 4][64][4] and values as [64 / 4][T][4], T rounded up to 4 with zeros.
struct PackedHead {
  const float* keys;
  const float* values;
};

void pack(const float* k, const float* v, int64_t stride, int64_t tokens, int64_t padded, float* keys,
          float* values) {
  for (int64_t t = 0; t < padded; ++t) {
    const bool real = t < tokens;
    for (int64_t d = 0; d < kDim; ++d) {
      keys[((t / kGroup) * kDim + d) * kGroup + t % kGroup] = real ? k[t * stride + d] : 0.0f;
      values[((d / kGroup) * padded + t) * kGroup + d % kGroup] = real ? v[t * stride + d] : 0.0f;
    }
  }
}

/// Attention of up to 24 queries. q: first query's 64 channels, `stride` floats between queries; scale
/// includes log2(e).
__attribute__((target("avx2,fma"))) void tile(const float* q, int64_t stride, int64_t queries, float scale,
                                              PackedHead head, int64_t tokens, int64_t padded, float* out,
                                              int64_t out_stride) {
  alignas(32) float query[kDim][kQueries];
  alignas(32) float scores[kKeys][kQueries];
  alignas(32) float result[kDim][kQueries];
  std::memset(result, 0, sizeof result);
  for (int64_t i = 0; i < kQueries; ++i)
    for (int64_t d = 0; d < kDim; ++d) query[d][i] = i < queries ? q[i * stride + d] * scale : 0.0f;
  __m256 max[3], sum[3];
  for (int j = 0; j < 3; ++j) {
    max[j] = _mm256_set1_ps(-INFINITY);
    sum[j] = _mm256_setzero_ps();
  }

  for (int64_t begin = 0; begin < padded; begin += kKeys) {
    const int64_t keys = std::min(kKeys, padded - begin), real = std::min(keys, tokens - begin);
    for (int64_t key = 0; key < keys; key += kGroup)
      multiply<false>(kDim, head.keys + (begin + key) * kDim, query[0], scores[key]);
    for (int64_t key = real; key < keys; ++key)  // padding weighs nothing
      for (int64_t i = 0; i < kQueries; ++i) scores[key][i] = -INFINITY;

#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) {
      __m256 top0 = max[j], top1 = max[j];
      for (int64_t key = 0; key < keys; key += 2) {
        top0 = _mm256_max_ps(top0, _mm256_load_ps(&scores[key][8 * j]));
        top1 = _mm256_max_ps(top1, _mm256_load_ps(&scores[key + 1][8 * j]));
      }
      const __m256 top = _mm256_max_ps(top0, top1);
      const __m256 shrink = exp2(_mm256_sub_ps(max[j], top));
      max[j] = top;
      __m256 total = _mm256_mul_ps(sum[j], shrink);
      for (int64_t key = 0; key < keys; ++key) {
        const __m256 p = exp2(_mm256_sub_ps(_mm256_load_ps(&scores[key][8 * j]), top));
        total = _mm256_add_ps(total, p);
        _mm256_store_ps(&scores[key][8 * j], p);
      }
      sum[j] = total;
      for (int64_t d = 0; d < kDim; ++d)
        _mm256_store_ps(&result[d][8 * j], _mm256_mul_ps(_mm256_load_ps(&result[d][8 * j]), shrink));
    }
    for (int64_t d = 0; d < kDim; d += kGroup)
      multiply<true>(keys, head.values + (d * padded) + begin * kGroup, scores[0], result[d]);
  }

  alignas(32) float inverse[kQueries];
  for (int j = 0; j < 3; ++j) _mm256_store_ps(inverse + 8 * j, _mm256_div_ps(_mm256_set1_ps(1.0f), sum[j]));
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t d = 0; d < kDim; ++d) out[i * out_stride + d] = result[d][i] * inverse[i];
}

}  // namespace

bool attention_cpu_supports(int64_t head_dim) {
  static const bool cpu = has_avx2();
  return cpu && head_dim == kDim;
}

bool attention_cpu_preferred() {
  static const bool preferred = !__builtin_cpu_supports("avx512f") || __builtin_cpu_is("amd");
  return preferred;
}

at::Tensor attention_cpu(const at::Tensor& qkv, int64_t heads) {
  const int64_t batch = qkv.size(0), tokens = qkv.size(1), channels = heads * kDim, stride = 3 * channels;
  const int64_t padded = round_up(tokens, kGroup), tiles = (tokens + kQueries - 1) / kQueries;
  const float scale = static_cast<float>(std::log2(std::exp(1.0)) / std::sqrt(static_cast<double>(kDim)));
  auto out = at::empty({batch, tokens, channels}, qkv.options());
  auto packed = at::empty({batch * heads, 2, padded * kDim}, qkv.options());
  const float* in = qkv.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  float* scratch = packed.mutable_data_ptr<float>();

  at::parallel_for(0, batch * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* first = in + (i / heads) * tokens * stride + (i % heads) * kDim;
      float* keys = scratch + i * 2 * padded * kDim;
      pack(first + channels, first + 2 * channels, stride, tokens, padded, keys, keys + padded * kDim);
    }
  });
  at::parallel_for(0, batch * heads * tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t head = i / tiles, query = (i % tiles) * kQueries;
      const int64_t row = (head / heads) * tokens + query, column = (head % heads) * kDim;
      const float* keys = scratch + head * 2 * padded * kDim;
      tile(in + row * stride + column, stride, std::min(kQueries, tokens - query), scale,
           {keys, keys + padded * kDim}, tokens, padded, to + row * channels + column, channels);
    }
  });
  return out;
}

#else

bool attention_cpu_supports(int64_t) {
  return false;
}
bool attention_cpu_preferred() {
  return false;
}
at::Tensor attention_cpu(const at::Tensor&, int64_t) {
  throw Error(ErrorCode::kInternal, "this processor has no attention kernel of its own");
}

#endif

}  // namespace rgbd
