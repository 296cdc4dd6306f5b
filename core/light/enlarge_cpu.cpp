// SPDX-License-Identifier: Apache-2.0
#include "core/light/enlarge_cpu.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "core/lanes.h"

namespace rgbd::light {
namespace {

constexpr int64_t kGrainRows = 8;
constexpr float kNear = 0.75f, kOther = 0.25f;  // of the pixel that this one is part of, and of its neighbour

/// The neighbour on the side of the enlarged map's i.
int64_t other(int64_t i, int64_t size) {
  return std::clamp<int64_t>(i % 2 ? i / 2 + 1 : i / 2 - 1, 0, size - 1);
}

/// to = kNear a + kOther b, `floats` of them, a multiple of 8.
RGBD_INLINE void blend(const float* a, const float* b, int64_t floats, float* to) {
  for (int64_t i = 0; i < floats; i += kLanes) {
    Lanes near, far;
    load(a + i, near);
    load(b + i, far);
    store(kNear * near + kOther * far, to + i);
  }
}

/// Rows begin..end of all frames' skip; x has h rows.
RGBD_INLINE void enlarge_add(const float* x, int64_t h, int64_t w, int64_t channels, int64_t begin,
                             int64_t end, float* skip) {
  std::vector<float> row(static_cast<size_t>(w * channels));
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / (2 * h), y = i % (2 * h);
    const float* const frame = x + b * h * w * channels;
    blend(frame + y / 2 * w * channels, frame + other(y, h) * w * channels, w * channels, row.data());
    for (int64_t column = 0; column < 2 * w; ++column) {
      const float *const near = row.data() + column / 2 * channels, *const far = row.data() +
                                                                                 other(column, w) * channels;
      float* const to = skip + (i * 2 * w + column) * channels;
      for (int64_t c = 0; c < channels; c += kLanes) {
        Lanes here, beside, sum;
        load(near + c, here);
        load(far + c, beside);
        load(to + c, sum);
        sum += kNear * here + kOther * beside;
        store(sum < 0.0f ? Lanes{} : sum, to + c);  // NaN stays
      }
    }
  }
}

void enlarge_add_anywhere(const float* x, int64_t h, int64_t w, int64_t channels, int64_t begin, int64_t end,
                          float* skip) {
  enlarge_add(x, h, w, channels, begin, end, skip);
}
#ifdef RGBD_AVX2
RGBD_AVX2 void enlarge_add_avx2(const float* x, int64_t h, int64_t w, int64_t channels, int64_t begin,
                                int64_t end, float* skip) {
  enlarge_add(x, h, w, channels, begin, end, skip);
}
#endif

}  // namespace

at::Tensor enlarge_add_cpu(const at::Tensor& x, at::Tensor skip) {
  auto* add = enlarge_add_anywhere;
#ifdef RGBD_AVX2
  if (has_avx2()) add = enlarge_add_avx2;
#endif
  TORCH_CHECK(skip.size(0) == x.size(0) && skip.size(1) == x.size(1) && skip.size(2) == 2 * x.size(2) &&
              skip.size(3) == 2 * x.size(3));
  const auto small = x.contiguous(at::MemoryFormat::ChannelsLast);
  skip = skip.contiguous(at::MemoryFormat::ChannelsLast);
  const float* const from = small.const_data_ptr<float>();
  float* const to = skip.mutable_data_ptr<float>();
  const int64_t channels = x.size(1), h = x.size(2), w = x.size(3);
  at::parallel_for(0, 2 * h * x.size(0), kGrainRows,
                   [&](int64_t begin, int64_t end) { add(from, h, w, channels, begin, end, to); });
  return skip;
}

}  // namespace rgbd::light
