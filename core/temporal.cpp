// SPDX-License-Identifier: Apache-2.0
// See temporal.h. Rows are compiled twice from one source, for AVX2 and for whatever the compiler's target
// has; without fused multiply-adds both give the same bits.
#include "core/temporal.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define RGBD_TEMPORAL_AVX2 1
#endif

namespace rgbd {
namespace {

/// How far depth at s steps may be off and still be noise.
struct Tolerance {
  float per_step;   // of the share
  float level = 1;  // of the sensor's noise
  __attribute__((always_inline)) inline float at(float s) const {
    return kTemporalSteps + level * s * std::min(kTemporalShare + per_step * s, kTemporalMostShare);
  }
};

/// One row. `drift`: how much of the tolerance each pixel's tile has drifted, squared; the row's motion is
/// added to `motions`.
struct Row {
  uint16_t* now;
  float* past;
  const float* drift;
  float* motions;
  int width;
};

__attribute__((always_inline)) inline void blend(const Row& row, Tolerance tolerance, float weight) {
  uint16_t* now = row.now;
  float* __restrict past = row.past;
  float* __restrict motions = row.motions;
  for (int x = 0; x < row.width; ++x) {
    const float z = now[x], s = past[x];
    const float known = z > 0 && s > 0 ? 1.0f : 0.0f;
    const float motion = known * (z - s) / tolerance.at(s);
    const float gate = std::max(motion * motion, row.drift[x]);
    const float steadied = z - known * weight * std::max(1.0f - gate, 0.0f) * (z - s);
    motions[x] += std::min(std::max(motion, -1.0f), 1.0f);
    past[x] = steadied;
    now[x] = static_cast<uint16_t>(static_cast<int32_t>(steadied + 0.5f));
  }
}

void blend_anywhere(const Row& row, Tolerance tolerance, float weight) {
  blend(row, tolerance, weight);
}
#if RGBD_TEMPORAL_AVX2
__attribute__((target("avx2"))) void blend_avx2(const Row& row, Tolerance tolerance, float weight) {
  blend(row, tolerance, weight);
}
#endif

auto* blend_for_this_machine() {
#if RGBD_TEMPORAL_AVX2
  if (__builtin_cpu_supports("avx2")) return blend_avx2;
#endif
  return blend_anywhere;
}

[[noreturn]] void invalid(const std::string& text) {
  throw Error(ErrorCode::kInvalidArgument, text);
}

void check(const DepthOut& frame, double weight) {
  if (!(weight >= 0 && weight <= 1))
    invalid("the weight of the past, " + std::to_string(weight) + ", is no share from 0 to 1");
  if (frame.memory != Memory::kHost) invalid("a frame to steady must be in host memory");
  constexpr int kMostSide = 65535;  // as of frames to refine
  if (!frame.data || frame.width <= 0 || frame.height <= 0 || frame.width > kMostSide ||
      frame.height > kMostSide ||
      (frame.height > 1 && std::abs(frame.stride_bytes) < 2 * ptrdiff_t{frame.width}))
    invalid("a frame to steady has no data, no size up to 65535 or too short a stride");
  if (!(frame.metres_per_step > 0) || !std::isfinite(frame.metres_per_step))
    invalid("a frame to steady has a depth unit of " + std::to_string(frame.metres_per_step) + " m");
}

class RecursiveFilter : public TemporalFilter {
 public:
  void apply(const DepthOut& frame, double weight) override {
    check(frame, weight);
    if (weight == 0) return reset();
    if (frame.width != width_ || frame.height != height_ || frame.metres_per_step != unit_) begin(frame);
    Tolerance tolerance{static_cast<float>(kTemporalPerMetre * unit_)};
    if (!has_past_ || !compare(frame, tolerance)) {
      take_whole(frame);
    } else {
      steady(frame, tolerance, static_cast<float>(weight));
    }
  }

  void reset() noexcept override { has_past_ = false; }

 private:
  // All memory there will be; where there is none for a frame, things stay as they were.
  void begin(const DepthOut& frame) try {
    const auto width = static_cast<size_t>(frame.width), height = static_cast<size_t>(frame.height);
    const size_t across = (width + kTemporalTile - 1) / kTemporalTile;
    const size_t down = (height + kTemporalTile - 1) / kTemporalTile;
    std::vector<float> past(width * height), drifts(across * down), drift(width), motions(width), differences;
    std::vector<uint16_t> row(width);
    differences.reserve((width / kTemporalColumns + 1) * (height / kTemporalRows + 1));
    past_.swap(past), drifts_.swap(drifts), drift_.swap(drift), motions_.swap(motions), row_.swap(row);
    differences_.swap(differences);
    width_ = frame.width, height_ = frame.height, unit_ = frame.metres_per_step;
    has_past_ = false;
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "no memory left to steady frames of " + std::to_string(frame.width) +
                                             "x" + std::to_string(frame.height));
  }

  static uint8_t* bytes(const DepthOut& frame, int y) { return frame.data + y * frame.stride_bytes; }
  static bool swaps(const DepthOut& frame) {
    return frame.big_endian != (std::endian::native == std::endian::big);
  }
  void load(const DepthOut& frame, int y) {
    std::memcpy(row_.data(), bytes(frame, y), 2 * row_.size());  // odd strides: no alignment to rely on
    if (swaps(frame)) swap_row();
  }
  void store(const DepthOut& frame, int y) {
    if (swaps(frame)) swap_row();
    std::memcpy(bytes(frame, y), row_.data(), 2 * row_.size());
  }
  void swap_row() {
    for (uint16_t& v : row_) v = static_cast<uint16_t>(v << 8 | v >> 8);
  }
  float* past(int y) { return past_.data() + static_cast<size_t>(y) * row_.size(); }

  void take_whole(const DepthOut& frame) {
    for (int y = 0; y < height_; ++y) {
      load(frame, y);
      std::copy(row_.begin(), row_.end(), past(y));
    }
    std::fill(drifts_.begin(), drifts_.end(), 0.0f);
    has_past_ = true;
  }

  void steady(const DepthOut& frame, Tolerance tolerance, float weight) {
    float* drifts = drifts_.data();  // of this row of tiles
    for (int top = 0; top < height_; top += kTemporalTile) {
      const int bottom = std::min(top + kTemporalTile, height_);
      std::fill(motions_.begin(), motions_.end(), 0.0f);
      for (int x = 0; x < width_; ++x) {
        const float drift = drifts[x / kTemporalTile] / kTemporalDrift;
        drift_[static_cast<size_t>(x)] = drift * drift;
      }
      for (int y = top; y < bottom; ++y) {
        load(frame, y);
        blend_({row_.data(), past(y), drift_.data(), motions_.data(), width_}, tolerance, weight);
        store(frame, y);
      }
      for (int left = 0; left < width_; left += kTemporalTile, ++drifts) {
        const int right = std::min(left + kTemporalTile, width_);
        float sum = 0;
        for (int x = left; x < right; ++x) sum += motions_[static_cast<size_t>(x)];
        const float mean = sum / static_cast<float>((right - left) * (bottom - top));
        *drifts += kTemporalDriftRate * (mean - *drifts);
      }
    }
  }

  /// Looks at some pixels for the noise, which it puts into `tolerance`. False: after a cut.
  bool compare(const DepthOut& frame, Tolerance& tolerance) {
    int both = 0, moved = 0;
    differences_.clear();
    for (int y = 0; y < height_; y += kTemporalRows) {
      float last = 0;
      bool has_last = false;
      for (int x = 0; x < width_; x += kTemporalColumns) {
        const uint8_t* at = bytes(frame, y) + 2 * ptrdiff_t{x};
        const auto z = static_cast<float>(frame.big_endian ? at[0] << 8 | at[1] : at[1] << 8 | at[0]);
        const float s = past(y)[x];
        const bool known = z > 0 && s > 0;
        const float motion = known ? (z - s) / tolerance.at(s) : 0.0f;
        both += known;
        moved += std::abs(motion) > 1;
        if (known && has_last) differences_.push_back(std::abs(motion - last));
        last = motion;
        has_last = known;
      }
    }
    if (moved > kTemporalCut * static_cast<float>(both)) return false;
    if (!differences_.empty()) {
      const auto at = differences_.begin() +
                      static_cast<ptrdiff_t>(kTemporalQuantile * static_cast<float>(differences_.size()));
      std::nth_element(differences_.begin(), at, differences_.end());
      tolerance.level = std::clamp(kTemporalNoise * *at, kTemporalLeast, 1.0f);
    }
    return true;
  }

  void (*const blend_)(const Row&, Tolerance, float) = blend_for_this_machine();
  int width_ = 0, height_ = 0;
  double unit_ = 0;  // metres per step
  bool has_past_ = false;
  std::vector<float> past_;    // [height, width] steps, 0 = no depth; not rounded: small changes add up
  std::vector<float> drifts_;  // of the tiles, in tolerances
  std::vector<float> drift_, motions_;  // [width], see Row
  std::vector<uint16_t> row_;           // [width] in this machine's byte order
  std::vector<float> differences_;      // of motion between neighbours on compare()'s grid
};

}  // namespace

std::unique_ptr<TemporalFilter> make_temporal_filter() {
  return std::make_unique<RecursiveFilter>();
}

}  // namespace rgbd
