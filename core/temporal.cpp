// SPDX-License-Identifier: Apache-2.0
// See temporal.h. Rows are compiled twice from one source, for AVX2 and for whatever the compiler's target
// has; without fused multiply-adds both give the same bits.
#include "core/temporal.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
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

__attribute__((always_inline)) inline void blend(uint16_t* now, float* past, int width, Tolerance tolerance,
                                                 float weight) {
  for (int x = 0; x < width; ++x) {
    const float z = now[x], s = past[x];
    const float motion = (z - s) / tolerance.at(s);
    const float w = weight * std::max(1.0f - motion * motion, 0.0f);
    const float steadied = z - (z > 0 && s > 0 ? w : 0.0f) * (z - s);
    past[x] = steadied;
    now[x] = static_cast<uint16_t>(static_cast<int32_t>(steadied + 0.5f));
  }
}

void blend_anywhere(uint16_t* now, float* past, int width, Tolerance tolerance, float weight) {
  blend(now, past, width, tolerance, weight);
}
#if RGBD_TEMPORAL_AVX2
__attribute__((target("avx2"))) void blend_avx2(uint16_t* now, float* past, int width, Tolerance tolerance,
                                                float weight) {
  blend(now, past, width, tolerance, weight);
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
  if (!frame.data || frame.width <= 0 || frame.height <= 0 ||
      (frame.height > 1 && std::abs(frame.stride_bytes) < 2 * ptrdiff_t{frame.width}))
    invalid("a frame to steady has no data, no size or too short a stride");
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
      for (int y = 0; y < height_; ++y) {
        load(frame, y);
        blend_(row_.data(), past(y), width_, tolerance, static_cast<float>(weight));
        store(frame, y);
      }
    }
  }

  void reset() noexcept override { has_past_ = false; }

 private:
  // All memory there will be; where there is none for a frame, things stay as they were.
  void begin(const DepthOut& frame) {
    const auto width = static_cast<size_t>(frame.width), height = static_cast<size_t>(frame.height);
    std::vector<float> past(width * height), differences;
    std::vector<uint16_t> row(width);
    differences.reserve((width / kTemporalColumns + 1) * (height / kTemporalRows + 1));
    past_.swap(past), row_.swap(row), differences_.swap(differences);
    width_ = frame.width, height_ = frame.height, unit_ = frame.metres_per_step;
    has_past_ = false;
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
    has_past_ = true;
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

  void (*const blend_)(uint16_t*, float*, int, Tolerance, float) = blend_for_this_machine();
  int width_ = 0, height_ = 0;
  double unit_ = 0;  // metres per step
  bool has_past_ = false;
  std::vector<float> past_;         // [height, width] steps, 0 = no depth; not rounded: small changes add up
  std::vector<uint16_t> row_;       // [width] in this machine's byte order
  std::vector<float> differences_;  // of motion between neighbours on compare()'s grid
};

}  // namespace

std::unique_ptr<TemporalFilter> make_temporal_filter() {
  return std::make_unique<RecursiveFilter>();
}

}  // namespace rgbd
