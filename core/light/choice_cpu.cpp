// SPDX-License-Identifier: Apache-2.0
// Two rows at a time, so that the head's answers for them stay in the second-level cache; eight pixels side
// by side through every step.
#include "core/light/choice_cpu.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "core/lanes.h"
#include "core/light/choice.h"
#include "core/recycled.h"

namespace rgbd::light {
namespace {

constexpr int64_t kGrainPairs = 4;  // of rows
constexpr int64_t kMostCandidates = 2 * kMostOffsets + kMostLevels + kMostRays + 1;

typedef float Half __attribute__((vector_size(16)));
typedef int32_t Mask __attribute__((vector_size(32)));

/// even[0] odd[0] even[1] odd[1] …
RGBD_INLINE void load_interleaved(const float* even, const float* odd, Lanes& to) {
  Half a, b;
  std::memcpy(&a, even, sizeof a);
  std::memcpy(&b, odd, sizeof b);
  to = __builtin_shufflevector(a, b, 0, 4, 1, 5, 2, 6, 3, 7);
}

/// x = e^x, relative error 8.1e-8; x outside ±87 counts as the nearer of the two.
RGBD_INLINE void exponential(Lanes& x) {
  constexpr float kRound = 0x1.8p23f;  // adding it leaves the nearest whole number in the low bits
  x = x > 87.0f ? Lanes{} + 87.0f : x;
  x = x < -87.0f ? Lanes{} - 87.0f : x;
  const Lanes shifted = x * 1.44269504f + kRound, whole = shifted - kRound;
  // ln 2 in two parts, the first with few enough bits that whole * it is exact.
  const Lanes f = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;  // within ±ln(2)/2
  Lanes p = f * 1.38131448e-3f + 8.36941879e-3f;                        // minimax on that interval, 3.3e-9
  p = p * f + 4.16684560e-2f;
  p = p * f + 1.66665152e-1f;
  p = p * f + 4.99999940e-1f;
  p = p * f * f + f + 1.0f;
  Mask bits, power;
  std::memcpy(&power, &shifted, sizeof power);
  std::memcpy(&bits, &p, sizeof bits);
  bits += power << 23;  // the constant's own bits are shifted out
  std::memcpy(&x, &bits, sizeof x);
}

/// One row's inputs, each seen from its pixel x = 0.
struct Row {
  std::vector<const float*> values;     // raw, coarse and smooth candidates, rays
  std::vector<const float*> even, odd;  // the head's planes for even and for odd x
  const Lanes* bias;                    // of even and odd planes in turn
  const float *measured, *fill;
  const float *top, *bottom;  // extremes of the window's columns
  float low, high;            // limits of filled pixels
};

/// Highest and least positive value of the window's column around each x, both `stride` long.
RGBD_INLINE void columns(const float* first_row, int64_t rows, int64_t stride, float* top, float* bottom) {
  const Lanes infinity = Lanes{} + std::numeric_limits<float>::infinity();
  for (int64_t x = 0; x < stride; x += kLanes) {
    Lanes high{}, low = infinity, q;
    for (int64_t row = 0; row < rows; ++row) {
      load(first_row + row * stride + x, q);
      high = q > high ? q : high;
      q = q > 0.0f ? q : infinity;
      low = q < low ? q : low;
    }
    store(high, top + x);
    store(low, bottom + x);
  }
}

RGBD_INLINE void choose_row(const Row& row, int64_t width, const Settings& s, Lanes* values, Lanes* logits,
                            float* out) {
  const int64_t free = s.candidates() - 1, reach = s.keep_window / 2;
  const float correction = static_cast<float>(s.correction), tolerance = static_cast<float>(s.mode_tolerance);
  const float down = static_cast<float>(1 - s.keep_tolerance), up = static_cast<float>(1 + s.keep_tolerance);
  for (int64_t x = 0; x < width; x += kLanes) {
    // The free depth: fill * e^(C tanh(s / C)), tanh(t) = 1 - 2 / (e^2t + 1).
    Lanes power, fill;
    load_interleaved(row.even[free + 1] + x / 2, row.odd[free + 1] + x / 2, power);
    power = 2 / correction * (power + row.bias[free + 1]);
    exponential(power);
    power = correction - 2 * correction / (power + 1.0f);
    exponential(power);
    load(row.fill + x, fill);
    values[free] = fill * power;

    Lanes best{}, most = Lanes{} - std::numeric_limits<float>::infinity();
    for (int64_t c = 0; c <= free; ++c) {
      if (c < free) load(row.values[c] + x, values[c]);
      Lanes logit;
      load_interleaved(row.even[c] + x / 2, row.odd[c] + x / 2, logit);
      logit = values[c] > 0.0f ? logit + row.bias[c] : Lanes{} + kNever;
      logits[c] = logit;
      best = logit > most ? values[c] : best;
      most = logit > most ? logit : most;
    }
    Lanes sum{}, total{};
    const Lanes near = tolerance * best;
    for (int64_t c = 0; c <= free; ++c) {
      const Lanes away = values[c] > best ? values[c] - best : best - values[c];
      Lanes weight = logits[c] - most;
      exponential(weight);
      weight = away <= near ? weight : Lanes{};
      sum += weight;
      total += weight * values[c];
    }
    Lanes y = total / sum;

    Lanes top{}, bottom = Lanes{} + std::numeric_limits<float>::infinity(), q;
    for (int64_t d = -reach; d <= reach; ++d) {
      load(row.top + x + d, q);
      top = q > top ? q : top;
      load(row.bottom + x + d, q);
      bottom = q < bottom ? q : bottom;
    }
    load(row.measured + x, q);
    const Mask hole = q <= 0.0f;
    bottom = hole ? Lanes{} + row.low : bottom * down;
    top = hole ? Lanes{} + row.high : top * up;
    y = y > bottom ? y : bottom;
    y = y < top ? y : top;
    store(y, out + x);
  }
}

/// What a thread works in: the features of two rows as product() reads them, and the head's answers without
/// the bias.
struct Room {
  Room(const FusedChoice& in, int64_t pixels)
      : features(static_cast<size_t>(in.last.size(3) * pixels)),
        answers(static_cast<size_t>(in.weight.size(0) * pixels)),
        extremes(static_cast<size_t>(2 * (in.fill.size(3) + 2 * in.margin))) {}
  std::vector<float> features;  // [pixels / 24 or less][C][24 or less]
  std::vector<float> answers;   // [4 (candidates + 1)][pixels]
  std::vector<float> extremes;
};

/// Half a row's pixels, in which the head sees four, up to whole vectors.
int64_t room_pixels(int64_t width) {
  return (width / 2 + kLanes - 1) / kLanes * kLanes;
}

/// answers = weight features of one row of `last`, `half` pixels long.
RGBD_INLINE void ask_head(const FusedChoice& in, const float* last, int64_t half, int64_t pixels,
                          Room& room) {
  const int64_t channels = in.last.size(3);
  for_pieces(
      pixels, [&](int64_t first, int64_t vectors) __attribute__((always_inline)) {
        const int64_t columns = vectors * kLanes;
        float* const to = room.features.data() + first * channels;
        for (int64_t x = 0; x < columns; ++x)
          for (int64_t c = 0; c < channels; ++c)
            to[c * columns + x] = first + x < half ? last[(first + x) * channels + c] : 0;
      });
  product(in.weight.const_data_ptr<float>(), in.weight.size(0), channels, room.features.data(), pixels,
          room.answers.data(), pixels);
}

/// Pairs of rows begin..end of all frames'.
RGBD_INLINE void choose_rows(const FusedChoice& in, const Settings& s, int64_t begin, int64_t end,
                             float* out) {
  const int64_t height = in.fill.size(2), width = in.fill.size(3), half = width / 2;
  const int64_t pixels = room_pixels(width);
  const int64_t raw_stride = width + 2 * in.margin, coarse_stride = width + 2 * in.border;
  const float* bias = in.bias.const_data_ptr<float>();
  const int64_t count = s.candidates(), reach = s.keep_window / 2;

  Lanes values[kMostCandidates], logits[kMostCandidates], biases[2][kMostCandidates + 1];
  for (int64_t c = 0; c <= count; ++c)
    for (int odd_row = 0; odd_row < 2; ++odd_row)
      for (int64_t lane = 0; lane < kLanes; ++lane)
        biases[odd_row][c][lane] = bias[4 * c + 2 * odd_row + lane % 2];
  Room room(in, pixels);

  Row row;
  row.values.resize(static_cast<size_t>(count - 1));
  row.even.resize(static_cast<size_t>(count + 1));
  row.odd.resize(static_cast<size_t>(count + 1));
  for (int64_t i = 2 * begin; i < 2 * end; ++i) {
    const int64_t b = i / height, y = i % height;
    if (i % 2 == 0)
      ask_head(in, in.last.const_data_ptr<float>() + i / 2 * half * in.last.size(3), half, pixels, room);
    const float* raw = in.raw.const_data_ptr<float>() + b * (height + 2 * in.margin) * raw_stride;
    const float* coarse = in.coarse.const_data_ptr<float>() + b * (height + 2 * in.border) * coarse_stride;
    for (size_t c = 0; c < s.raw.size(); ++c)
      row.values[c] = raw + (in.margin + y + s.raw[c].dy) * raw_stride + in.margin + s.raw[c].dx;
    for (size_t c = 0; c < s.coarse.size(); ++c)
      row.values[s.raw.size() + c] =
          coarse + (in.border + y + s.coarse[c].dy) * coarse_stride + in.border + s.coarse[c].dx;
    for (size_t c = 0; c < in.smooth.size(); ++c)
      row.values[s.raw.size() + s.coarse.size() + c] =
          in.smooth[c].const_data_ptr<float>() + (b * height + y) * width;
    for (int64_t ray = 0; ray < s.rays; ++ray)
      row.values[count - 1 - s.rays + ray] =
          in.rays.const_data_ptr<float>() + ((b * s.rays + ray) * height + y) * width;
    for (int64_t c = 0; c <= count; ++c) {
      row.even[c] = room.answers.data() + (4 * c + 2 * (i % 2)) * pixels;
      row.odd[c] = row.even[c] + pixels;
    }
    row.bias = biases[i % 2];
    columns(raw + (in.margin + y - reach) * raw_stride, s.keep_window, raw_stride, room.extremes.data(),
            room.extremes.data() + raw_stride);
    row.top = room.extremes.data() + in.margin;
    row.bottom = row.top + raw_stride;
    row.measured = raw + (in.margin + y) * raw_stride + in.margin;
    row.fill = in.fill.const_data_ptr<float>() + (b * height + y) * width;
    row.low = in.low.const_data_ptr<float>()[b];
    row.high = in.high.const_data_ptr<float>()[b];
    choose_row(row, width, s, values, logits, out + (b * height + y) * width);
  }
}

void choose_rows_anywhere(const FusedChoice& in, const Settings& s, int64_t begin, int64_t end, float* out) {
  choose_rows(in, s, begin, end, out);
}
#ifdef RGBD_AVX2
RGBD_AVX2 void choose_rows_avx2(const FusedChoice& in, const Settings& s, int64_t begin, int64_t end,
                                float* out) {
  choose_rows(in, s, begin, end, out);
}
#endif

}  // namespace

int64_t fused_margin(const Settings& settings) {
  return (std::max(reach(settings.raw), settings.keep_window / 2) + 3) / 4 * 4;
}

at::Tensor choose_cpu(const FusedChoice& in, const Settings& settings) {
  auto* choose = choose_rows_anywhere;
#ifdef RGBD_AVX2
  if (has_avx2()) choose = choose_rows_avx2;
#endif
  auto out = recycled(in.fill.sizes());
  float* const to = out.mutable_data_ptr<float>();
  at::parallel_for(0, in.fill.size(0) * in.fill.size(2) / 2, kGrainPairs,
                   [&](int64_t begin, int64_t end) { choose(in, settings, begin, end, to); });
  return out;
}

}  // namespace rgbd::light
