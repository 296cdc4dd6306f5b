// SPDX-License-Identifier: Apache-2.0
// See frames.h. Rows are shared out with at::parallel_for; every pixel is computed alone, so the result
// does not depend on the number of threads.
#include "core/frames.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/color.h"
#include "core/measured.h"
#include "core/pixels.h"
#include "core/resize.h"

namespace rgbd {
namespace {

constexpr int64_t kGrainRows = 16;

[[noreturn]] void invalid(const std::string& text) {
  throw Error(ErrorCode::kInvalidArgument, text);
}

std::string text(int width, int height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

// Negative strides (bottom-up frames) are fine: `data` is then the last row in memory.
void check_plane(const char* what, const void* data, ptrdiff_t stride, int64_t bytes, int rows) {
  if (!data) invalid(std::string(what) + " has no data");
  if (rows > 1 && std::abs(stride) < bytes) {
    invalid(std::string(what) + " has a stride of " + std::to_string(stride) +
            " bytes, less than its row of " + std::to_string(bytes));
  }
}

void check_size(const char* what, int width, int height) {
  if (width <= 0 || height <= 0 || width > 65535 || height > 65535) {
    invalid(std::string(what) + " has an impossible size of " + text(width, height));
  }
}

void check_memory(const char* what, Memory memory) {
  if (memory != Memory::kHost && memory != Memory::kCuda)
    invalid(std::string(what) + " is in unknown memory");
}

void check_unit(const char* what, double unit) {
  if (!(unit > 0) || !std::isfinite(unit)) {
    invalid(std::string(what) + " has a depth unit of " + std::to_string(unit) + " m, which is not above 0");
  }
}

int rounded_side(double side, int multiple, int at_least) {
  // nearbyint rounds half to even, as numpy does (the default rounding mode; nobody changes it here).
  const double rounded = std::nearbyint(side / multiple) * multiple;
  return static_cast<int>(rounded < at_least ? std::ceil(side / multiple) * multiple : rounded);
}

// Colour at the frame's own size: a table per channel, since nothing but the byte matters.
void normalise(const ImageView& image, const InputSpec& spec, float* out) {
  const int width = image.width;
  const int64_t plane = static_cast<int64_t>(width) * image.height;
  std::array<std::array<float, 256>, 3> table;
  for (int c = 0; c < 3; ++c) {
    for (int v = 0; v < 256; ++v) table[c][v] = normalised(v / 255.0, spec.mean[c], spec.std[c]);
  }
  at::parallel_for(0, image.height, kGrainRows, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> bytes(3 * static_cast<size_t>(width));
    for (int64_t y = begin; y < end; ++y) {
      read_row(image, static_cast<int>(y), spec.bgr, bytes.data());
      for (int c = 0; c < 3; ++c) {
        float* to = out + c * plane + y * width;
        for (int x = 0; x < width; ++x) to[x] = table[c][bytes[3 * x + c]];
      }
    }
  });
}

// Colour rows resized horizontally, kept for the four of them that a vertical tap needs.
class RowCache {
 public:
  RowCache(const ImageView& image, bool bgr, const std::vector<CubicTap>& columns)
      : image_(image),
        bgr_(bgr),
        columns_(columns),
        bytes_(3 * static_cast<size_t>(image.width)),
        colour_(bytes_.size()) {
    for (auto& slot : slots_) slot.values.resize(3 * columns.size());
  }

  // Three planes of columns.size() values, 0..1. Valid until a row 4 or more away is asked for.
  const double* get(int y) {
    Slot& slot = slots_[y % 4];
    if (slot.y == y) return slot.values.data();
    slot.y = y;
    read_row(image_, y, bgr_, bytes_.data());
    for (size_t i = 0; i < bytes_.size(); ++i) colour_[i] = bytes_[i] / 255.0;
    const size_t width = columns_.size();
    double* out = slot.values.data();
    for (size_t x = 0; x < width; ++x) {
      const CubicTap& tap = columns_[x];
      const double w0 = tap.weight[0], w1 = tap.weight[1], w2 = tap.weight[2], w3 = tap.weight[3];
      const double *p0 = &colour_[3 * tap.index[0]], *p1 = &colour_[3 * tap.index[1]],
                   *p2 = &colour_[3 * tap.index[2]], *p3 = &colour_[3 * tap.index[3]];
      for (int c = 0; c < 3; ++c) out[c * width + x] = cubic(p0[c], p1[c], p2[c], p3[c], w0, w1, w2, w3);
    }
    return out;
  }

 private:
  struct Slot {
    int y = -1;
    std::vector<double> values;
  };
  const ImageView& image_;
  const bool bgr_;
  const std::vector<CubicTap>& columns_;
  std::vector<uint8_t> bytes_;
  std::vector<double> colour_;
  std::array<Slot, 4> slots_;
};

void resize_and_normalise(const ImageView& image, Size size, const InputSpec& spec, float* out) {
  const auto columns = opencv_cubic(image.width, size.width);
  const auto rows = opencv_cubic(image.height, size.height);
  const int64_t plane = static_cast<int64_t>(size.width) * size.height;
  at::parallel_for(0, size.height, kGrainRows, [&](int64_t begin, int64_t end) {
    RowCache cache(image, spec.bgr, columns);
    for (int64_t y = begin; y < end; ++y) {
      const CubicTap& tap = rows[y];
      const double w0 = tap.weight[0], w1 = tap.weight[1], w2 = tap.weight[2], w3 = tap.weight[3];
      // Clamped taps repeat a row, and four rows in sequence never share a slot.
      const double *r0 = cache.get(tap.index[0]), *r1 = cache.get(tap.index[1]),
                   *r2 = cache.get(tap.index[2]), *r3 = cache.get(tap.index[3]);
      for (int c = 0; c < 3; ++c) {
        const double mean = spec.mean[c], std = spec.std[c];
        float* to = out + c * plane + y * size.width;
        const int64_t from = static_cast<int64_t>(c) * size.width;
        for (int64_t x = 0; x < size.width; ++x) {
          const double v = cubic(r0[from + x], r1[from + x], r2[from + x], r3[from + x], w0, w1, w2, w3);
          to[x] = normalised(v, mean, std);
        }
      }
    }
  });
}

void invert_depth(const DepthView& depth, Size size, float* out) {
  const auto columns = opencv_nearest(depth.width, size.width);
  const auto rows = opencv_nearest(depth.height, size.height);
  const RawRange valid = valid_range(depth);
  const bool swap = needs_swap(depth.big_endian);
  at::parallel_for(0, size.height, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* from = depth.data + rows[y] * depth.stride_bytes;
      float* to = out + y * size.width;
      for (int x = 0; x < size.width; ++x) {
        const unsigned raw = load16(from + 2 * static_cast<ptrdiff_t>(columns[x]), swap);
        to[x] = valid.contains(raw) ? inverse_depth(raw, depth.metres_per_step) : 0.0f;
      }
    }
  });
}

}  // namespace

Size network_size(Size frame, const InputSpec& spec, unsigned short_side) {
  if (frame.width < kSmallestSide || frame.height < kSmallestSide) {
    invalid("a colour frame of " + text(frame.width, frame.height) +
            " is too small: " + std::to_string(kSmallestSide) + " pixels a side are needed");
  }
  if (std::max(frame.width, frame.height) > int64_t{kMostAspect} * std::min(frame.width, frame.height)) {
    invalid("a colour frame of " + text(frame.width, frame.height) + " is too long: one side may be " +
            std::to_string(kMostAspect) + " times the other");
  }
  if (short_side != 0 && short_side < kSmallestSide) {
    invalid("an input size of " + std::to_string(short_side) +
            " is too small: " + std::to_string(kSmallestSide) + " pixels are needed");
  }
  if (short_side > 65535) invalid("an input size of " + std::to_string(short_side) + " is too large");
  int side = short_side != 0 ? static_cast<int>(short_side) : spec.short_side;
  if (!spec.upscale) side = std::min({side, frame.width, frame.height});
  const double across = static_cast<double>(side) / frame.width,
               down = static_cast<double>(side) / frame.height;
  const double scale = std::max(across, down);
  return {rounded_side(scale * frame.width, spec.multiple, side),
          rounded_side(scale * frame.height, spec.multiple, side)};
}

void check(const ImageView& image) {
  check_size("the colour frame", image.width, image.height);
  check_memory("the colour frame", image.memory);
  if (row_bytes(image.format, 0, 1) == 0) invalid("the colour frame has an unknown pixel format");
  for (int plane = 0; plane < 3; ++plane) {
    const int bytes = row_bytes(image.format, plane, image.width);
    if (bytes == 0) break;
    const std::string what =
        std::string("plane ") + std::to_string(plane) + " of the " + name(image.format) + " frame";
    check_plane(what.c_str(), image.planes[plane].data, image.planes[plane].stride_bytes, bytes,
                plane_rows(image.format, plane, image.height));
  }
}

void check(const DepthView& depth) {
  check_size("the depth frame", depth.width, depth.height);
  check_plane("the depth frame", depth.data, depth.stride_bytes, 2 * depth.width, depth.height);
  check_unit("the depth frame", depth.metres_per_step);
  if (!(depth.min_depth_m <= depth.max_depth_m)) {
    invalid("the depth limits " + std::to_string(depth.min_depth_m) + " to " +
            std::to_string(depth.max_depth_m) + " m are no range");
  }
  if (!(depth.max_hole >= 0 && depth.max_hole <= 1)) {
    invalid("the largest hole to fill, " + std::to_string(depth.max_hole) +
            " of the frame, is no share from 0 to 1");
  }
}

void check(const DepthOut& out) {
  check_size("the output frame", out.width, out.height);
  check_plane("the output frame", out.data, out.stride_bytes, 2 * out.width, out.height);
  check_unit("the output frame", out.metres_per_step);
  check_memory("the output frame", out.memory);
  if (out.memory == Memory::kCuda &&
      (reinterpret_cast<uintptr_t>(out.data) % 2 != 0 || out.stride_bytes % 2 != 0)) {
    invalid("the output frame in CUDA memory has odd addresses of its 16-bit pixels");
  }
}

at::Tensor preprocess(const ImageView& image, const DepthView& depth, Size size, const InputSpec& spec) {
  if (image.memory != Memory::kHost) invalid("a colour frame in CUDA memory needs a model that runs there");
  at::Tensor x = at::empty({4, size.height, size.width}, at::kFloat);
  float* out = x.mutable_data_ptr<float>();
  if (size == Size{image.width, image.height}) {
    normalise(image, spec, out);
  } else {
    resize_and_normalise(image, size, spec, out);
  }
  invert_depth(depth, size, out + 3 * static_cast<int64_t>(size.width) * size.height);
  return x;
}

InverseRange postprocess(const at::Tensor& y, const DepthOut& out, const std::vector<uint8_t>& left_open) {
  if (out.memory != Memory::kHost) invalid("an output frame in CUDA memory needs a model that runs there");
  const int height = static_cast<int>(y.size(0)), width = static_cast<int>(y.size(1));
  const at::Tensor map = y.contiguous();
  const float* values = map.const_data_ptr<float>();
  const auto columns = torch_nearest(width, out.width);
  const auto rows = torch_nearest(height, out.height);
  const bool swap = needs_swap(out.big_endian);
  std::vector<float> row_min(out.height), row_max(out.height);
  at::parallel_for(0, out.height, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t first = static_cast<int64_t>(rows[row]) * width;
      const float* from = values + first;
      const uint8_t* open = left_open.empty() ? nullptr : left_open.data() + first;
      uint8_t* to = out.data + row * out.stride_bytes;
      float min = std::numeric_limits<float>::infinity(), max = -min;
      for (int x = 0; x < out.width; ++x) {
        const float inverse = from[columns[x]];
        min = std::min(min, inverse);
        max = std::max(max, inverse);
        uint16_t steps = open && open[columns[x]] ? 0 : quantise(inverse, out.metres_per_step);
        if (swap) steps = swapped(steps);
        std::memcpy(to + 2 * static_cast<ptrdiff_t>(x), &steps, 2);
      }
      row_min[row] = min;
      row_max[row] = max;
    }
  });
  return {*std::min_element(row_min.begin(), row_min.end()),
          *std::max_element(row_max.begin(), row_max.end())};
}

at::Tensor resize_nearest(const at::Tensor& y, Size size) {
  const int height = static_cast<int>(y.size(0)), width = static_cast<int>(y.size(1));
  const at::Tensor map = y.contiguous();
  const float* values = map.const_data_ptr<float>();
  at::Tensor resized = at::empty({size.height, size.width}, at::kFloat);
  float* to = resized.mutable_data_ptr<float>();
  const auto columns = torch_nearest(width, size.width);
  const auto rows = torch_nearest(height, size.height);
  for (int row : rows) {
    const float* from = values + static_cast<int64_t>(row) * width;
    for (int column : columns) *to++ = from[column];
  }
  return resized;
}

}  // namespace rgbd
