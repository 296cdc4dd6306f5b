// SPDX-License-Identifier: Apache-2.0
// Frames of every format with noise in them, and whether two ways to treat them agree to the bit.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/color.h"
#include "core/frames.h"

namespace rgbd::test {

inline constexpr PixelFormat kFormats[] = {
    PixelFormat::kRgb,  PixelFormat::kBgr,  PixelFormat::kRgbx, PixelFormat::kBgrx, PixelFormat::kXrgb,
    PixelFormat::kXbgr, PixelFormat::kRgba, PixelFormat::kBgra, PixelFormat::kArgb, PixelFormat::kAbgr,
    PixelFormat::kNv12, PixelFormat::kI420, PixelFormat::kYuy2};

/// The same numbers from the same seed everywhere.
class Noise {
 public:
  explicit Noise(uint32_t seed) : state_(seed * 2654435761u + 1) {}
  uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    return state_ ^= state_ << 5;
  }
  uint8_t byte() { return static_cast<uint8_t>(next() >> 11); }

 private:
  uint32_t state_;
};

/// How rows lie: bytes between them, and from the last to the first.
struct Lie {
  int padding = 0;
  bool bottom_up = false;
};

inline Plane plane_in(std::vector<uint8_t>& bytes, int row_bytes, int rows, const Lie& lie) {
  const int stride = row_bytes + lie.padding;
  bytes.resize(static_cast<size_t>(stride) * static_cast<size_t>(rows));
  return lie.bottom_up ? Plane{bytes.data() + static_cast<ptrdiff_t>(stride) * (rows - 1), -stride}
                       : Plane{bytes.data(), stride};
}

struct ColourFrame {
  ColourFrame(PixelFormat format, int width, int height, uint32_t seed, const Lie& lie = {}) {
    view.format = format;
    view.width = width;
    view.height = height;
    Noise noise(seed);
    for (int p = 0; p < 3 && row_bytes(format, p, width) != 0; ++p) {
      view.planes[p] = plane_in(bytes[p], row_bytes(format, p, width), plane_rows(format, p, height), lie);
      for (uint8_t& byte : bytes[p]) byte = noise.byte();
    }
  }
  ColourFrame(const ColourFrame&) = delete;

  std::vector<uint8_t> bytes[3];
  ImageView view;
};

/// A tenth of it is 0, a tenth anything at all, the rest within 8 m.
struct DepthFrame {
  DepthFrame(int width, int height, uint32_t seed, bool big_endian = false, const Lie& lie = {}) {
    const Plane plane = plane_in(bytes, 2 * width, height, lie);
    view.data = plane.data;
    view.stride_bytes = plane.stride_bytes;
    view.width = width;
    view.height = height;
    view.big_endian = big_endian;
    Noise noise(seed);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const uint32_t kind = noise.next() % 10, any = noise.next() >> 8;
        const uint32_t steps = kind == 0 ? 0 : kind == 1 ? any % 65536 : any % 8000;
        auto* at = const_cast<uint8_t*>(view.data) + y * view.stride_bytes + 2 * static_cast<ptrdiff_t>(x);
        at[big_endian ? 1 : 0] = static_cast<uint8_t>(steps);
        at[big_endian ? 0 : 1] = static_cast<uint8_t>(steps >> 8);
      }
    }
  }
  DepthFrame(const DepthFrame&) = delete;

  std::vector<uint8_t> bytes;
  DepthView view;
};

struct OutFrame {
  OutFrame(int width, int height, bool big_endian = false, const Lie& lie = {}) {
    const Plane plane = plane_in(bytes, 2 * width, height, lie);
    std::fill(bytes.begin(), bytes.end(), kUntouched);
    view.data = const_cast<uint8_t*>(plane.data);
    view.stride_bytes = plane.stride_bytes;
    view.width = width;
    view.height = height;
    view.big_endian = big_endian;
  }
  OutFrame(const OutFrame&) = delete;

  static constexpr uint8_t kUntouched = 0xA5;
  std::vector<uint8_t> bytes;
  DepthOut view;
};

/// Frame sizes and what network input they become: as they are, up, down, up along one side alone, from odd
/// sizes.
struct SizeCase {
  Size colour, depth, network;
};
inline constexpr SizeCase kSizes[] = {{{48, 32}, {48, 32}, {48, 32}},  {{17, 15}, {17, 15}, {42, 28}},
                                      {{133, 75}, {64, 48}, {56, 28}}, {{57, 41}, {91, 33}, {42, 56}},
                                      {{14, 14}, {1, 1}, {14, 14}},    {{640, 480}, {320, 240}, {686, 518}}};

inline std::string name_of(const SizeCase& sizes) {
  auto text = [](Size size) { return std::to_string(size.width) + "x" + std::to_string(size.height); };
  return text(sizes.colour) + " and " + text(sizes.depth) + " to " + text(sizes.network);
}

/// A map with everything in it that a network may answer, and may not.
inline at::Tensor map_of(Size size, uint32_t seed) {
  at::Tensor y = at::empty({size.height, size.width}, at::kFloat);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float odd[] = {0.0f,  -0.0f, -1.0f,      kInfinity, std::numeric_limits<float>::quiet_NaN(),
                       1e-9f, 1e30f, -kInfinity, 1e-42f,    2000.0f};
  Noise noise(seed);
  float* to = y.mutable_data_ptr<float>();
  for (int64_t i = 0; i < y.numel(); ++i) {
    const uint32_t kind = noise.next() % 50;
    to[i] = kind < std::size(odd) ? odd[kind] : 0.02f + static_cast<float>(noise.next() >> 8) * 0x1p-22f;
  }
  return y;
}

/// A tenth of it is open.
inline std::vector<uint8_t> holes_of(Size size, uint32_t seed) {
  Noise noise(seed);
  std::vector<uint8_t> open(static_cast<size_t>(size.width) * static_cast<size_t>(size.height));
  for (uint8_t& at : open) at = noise.next() % 10 == 0;
  return open;
}

/// Of contiguous tensors on the CPU.
inline void expect_same_bits(const at::Tensor& x, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(x.sizes(), expected.sizes()) << what;
  const float *a = x.const_data_ptr<float>(), *b = expected.const_data_ptr<float>();
  int64_t different = 0, first = -1;
  for (int64_t i = 0; i < x.numel(); ++i) {
    if (std::memcmp(a + i, b + i, sizeof(float)) == 0) continue;
    if (first < 0) first = i;
    ++different;
  }
  EXPECT_EQ(different, 0) << what << ": the first is " << a[first] << " and not " << b[first] << " at "
                          << first << " of " << x.numel();
}

/// Equal, or neither a number.
inline void expect_same(const InverseRange& range, const InverseRange& expected, const std::string& what) {
  EXPECT_EQ(range.min, expected.min) << what;
  EXPECT_EQ(range.max, expected.max) << what;
}

}  // namespace rgbd::test
