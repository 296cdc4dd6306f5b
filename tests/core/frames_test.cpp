// SPDX-License-Identifier: Apache-2.0
// Frames to network input. Expected numbers come from OpenCV 4.6 (`cv2.resize` on float64) and numpy on the
// same generated pictures. What comes back is in postprocess_test.cpp.
#include "core/frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "core/measured.h"
#include "core/resize.h"

namespace rgbd {
namespace {

constexpr uint8_t kPadding = 0xAA;

// The pictures that the tables were made from.
uint8_t colour(int x, int y, int c) {
  return static_cast<uint8_t>((x * 37 + y * 91 + c * 53 + x * y * 7) % 256);
}

struct Picture {
  std::vector<uint8_t> bytes;
  ImageView view;
};

Picture rgb_picture(int width, int height, int padding = 0) {
  Picture p;
  const int stride = 3 * width + padding;
  p.bytes.assign(static_cast<size_t>(stride) * height, kPadding);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) p.bytes[y * stride + 3 * x + c] = colour(x, y, c);
    }
  }
  p.view.width = width;
  p.view.height = height;
  p.view.planes[0] = {p.bytes.data(), stride};
  return p;
}

struct Depth {
  std::vector<uint8_t> bytes;
  DepthView view;
};

Depth depth_frame(int width, int height, const std::vector<uint16_t>& steps, bool big_endian = false,
                  int padding = 0) {
  Depth d;
  const int stride = 2 * width + padding;
  d.bytes.assign(static_cast<size_t>(stride) * height, kPadding);
  for (int i = 0; i < width * height; ++i) {
    uint8_t* p = &d.bytes[i / width * stride + i % width * 2];
    p[big_endian ? 1 : 0] = static_cast<uint8_t>(steps[i % steps.size()]);
    p[big_endian ? 0 : 1] = static_cast<uint8_t>(steps[i % steps.size()] >> 8);
  }
  d.view.data = d.bytes.data();
  d.view.stride_bytes = stride;
  d.view.width = width;
  d.view.height = height;
  d.view.big_endian = big_endian;
  return d;
}

// Colour as 0..1 in R, G, B order.
InputSpec plain_spec() {
  InputSpec spec;
  spec.mean = {0, 0, 0};
  spec.std = {1, 1, 1};
  spec.bgr = false;
  return spec;
}

std::vector<float> values(const at::Tensor& x) {
  return {x.const_data_ptr<float>(), x.const_data_ptr<float>() + x.numel()};
}

std::vector<float> input(const ImageView& image, const DepthView& depth, Size size, const InputSpec& spec) {
  return values(preprocess(image, depth, size, spec));
}

struct CubicCase {
  int width, height, new_width, new_height;
  std::vector<float> samples;  // of the planar result at (k * 101) % size
  double sum;
};

TEST(Preprocess, ResizesColourAsOpenCvDoes) {
  const CubicCase cases[] = {
      {5,
       4,
       9,
       7,
       {-0.0497611277f, 0.170267597f, 0.466918617f, 0.812122345f, -0.0306713935f, 0.411657989f, 0.554500341f,
        0.528323233f, 0.769738019f, 0.430238903f, 0.292351216f, 0.568069935f},
       97.06324186804704},
      {31,
       23,
       14,
       17,
       {0.121691272f, 0.787029803f, 0.0879004598f, 0.81346637f, 0.402742565f, 0.290755808f, 0.585023701f,
        0.236872017f, 0.311149567f, 0.830458283f, 0.702182889f, 0.301442385f},
       349.8335915324278},
      {16,
       16,
       16,
       28,
       {-0.0354065523f, 0.257211387f, 0.654173017f, 0.850328684f, 0.088158451f, 0.411764711f, 0.894286036f,
        0.57934016f, 0.430300385f, 0.322909802f, 0.428034127f, 0.326519251f},
       675.0976526909508},
      {1,
       3,
       4,
       5,
       {-0.0342589356f, 0.381427348f, 0.173584208f, -0.0342589356f, 0.600737214f, 0.320611775f, 0.112768643f,
        0.600737214f, 0.564705908f, 0.356862754f, 0.772549033f, 0.564705908f},
       27.312690123915672},
  };
  const Depth depth = depth_frame(1, 1, {0});
  for (const CubicCase& c : cases) {
    const auto x =
        input(rgb_picture(c.width, c.height).view, depth.view, {c.new_width, c.new_height}, plain_spec());
    const size_t colours = 3 * static_cast<size_t>(c.new_width) * c.new_height;
    double sum = 0;
    for (size_t i = 0; i < colours; ++i) sum += x[i];
    EXPECT_NEAR(sum, c.sum, 1e-9) << c.width;
    for (size_t k = 0; k < c.samples.size(); ++k) {
      EXPECT_FLOAT_EQ(x[k * 101 % colours], c.samples[k]) << c.width << "x" << c.height << " sample " << k;
    }
  }
}

TEST(Preprocess, KeepsAFrameOfTheNetworksSize) {
  const Picture picture = rgb_picture(20, 15);
  const Depth depth = depth_frame(20, 15, {1000});
  InputSpec spec;  // normalised, blue first
  const auto x = input(picture.view, depth.view, {20, 15}, spec);
  for (int c = 0; c < 3; ++c) {
    const float expected = static_cast<float>((colour(7, 4, 2 - c) / 255.0 - spec.mean[c]) / spec.std[c]);
    EXPECT_EQ(x[c * 300 + 4 * 20 + 7], expected) << "channel " << c;
  }
  // The general path agrees with the table: the same frame through weights that are 1 on one pixel.
  const auto resized = input(picture.view, depth.view, {20, 30}, spec);
  EXPECT_EQ(resized.size(), 4u * 20 * 30);
  const auto taps = opencv_cubic(20, 20);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(taps[i].index[1], i);
    EXPECT_EQ(taps[i].weight, (std::array<float, 4>{0, 1, 0, 0}));
  }
}

TEST(Preprocess, ReadsOddAndNegativeStrides) {
  const Picture tight = rgb_picture(17, 16), loose = rgb_picture(17, 16, 5);
  std::vector<uint16_t> steps(17 * 16);
  for (size_t i = 0; i < steps.size(); ++i) steps[i] = static_cast<uint16_t>(i * 100);
  const Depth d_tight = depth_frame(17, 16, steps), d_loose = depth_frame(17, 16, steps, false, 3);
  const auto expected = input(tight.view, d_tight.view, {28, 14}, {});
  EXPECT_EQ(input(loose.view, d_loose.view, {28, 14}, {}), expected);

  // Bottom up: the same rows stored in reverse.
  Picture flipped = tight;
  Depth d_flipped = d_tight;
  for (int y = 0; y < 16; ++y) {
    std::copy_n(&tight.bytes[y * 51], 51, &flipped.bytes[(15 - y) * 51]);
    std::copy_n(&d_tight.bytes[y * 34], 34, &d_flipped.bytes[(15 - y) * 34]);
  }
  flipped.view.planes[0] = {&flipped.bytes[15 * 51], -51};
  d_flipped.view.data = &d_flipped.bytes[15 * 34];
  d_flipped.view.stride_bytes = -34;
  EXPECT_NO_THROW(check(flipped.view));
  EXPECT_NO_THROW(check(d_flipped.view));
  EXPECT_EQ(input(flipped.view, d_flipped.view, {28, 14}, {}), expected);
}

TEST(Preprocess, ReadsEveryPackedFormat) {
  const std::pair<PixelFormat, const char*> formats[] = {
      {PixelFormat::kRgb, "RGB"},   {PixelFormat::kBgr, "BGR"},   {PixelFormat::kRgbx, "RGB-"},
      {PixelFormat::kBgrx, "BGR-"}, {PixelFormat::kXrgb, "-RGB"}, {PixelFormat::kXbgr, "-BGR"},
      {PixelFormat::kRgba, "RGB-"}, {PixelFormat::kBgra, "BGR-"}, {PixelFormat::kArgb, "-RGB"},
      {PixelFormat::kAbgr, "-BGR"}};
  const Depth depth = depth_frame(2, 2, {0});
  const auto expected = input(rgb_picture(16, 14).view, depth.view, {16, 14}, plain_spec());
  for (const auto& [format, layout] : formats) {
    const std::string order = layout;
    const int bytes = static_cast<int>(order.size());
    std::vector<uint8_t> pixels(16 * 14 * bytes, kPadding);
    for (int y = 0; y < 14; ++y) {
      for (int x = 0; x < 16; ++x) {
        for (int c = 0; c < 3; ++c) pixels[(y * 16 + x) * bytes + order.find("RGB"[c])] = colour(x, y, c);
      }
    }
    ImageView view;
    view.format = format;
    view.width = 16;
    view.height = 14;
    view.planes[0] = {pixels.data(), 16 * bytes};
    EXPECT_EQ(input(view, depth.view, {16, 14}, plain_spec()), expected) << order;
  }
}

struct YuvCase {
  ColorMatrix matrix;
  bool full_range;
  std::array<int, 3> rgb[3];  // of kYuvSamples, by the formula of color.h in floating point
};
constexpr uint8_t kYuvSamples[3][3] = {{81, 90, 240}, {145, 54, 34}, {120, 100, 180}};

TEST(Preprocess, ReadsYuvByMatrixAndRange) {
  const YuvCase cases[] = {
      {ColorMatrix::kBt601, false, {{254, 0, 0}, {0, 255, 1}, {204, 90, 65}}},
      {ColorMatrix::kBt601, true, {{238, 14, 14}, {13, 238, 14}, {193, 93, 70}}},
      {ColorMatrix::kBt709, false, {{255, 24, 0}, {0, 216, 0}, {214, 99, 62}}},
      {ColorMatrix::kBt709, true, {{255, 36, 10}, {0, 203, 8}, {202, 101, 68}}},
      {ColorMatrix::kBt2020, false, {{255, 10, 0}, {0, 225, 0}, {208, 93, 61}}},
      {ColorMatrix::kBt2020, true, {{246, 23, 10}, {6, 211, 6}, {197, 95, 67}}},
  };
  const Depth depth = depth_frame(1, 1, {0});
  for (const YuvCase& c : cases) {
    for (int s = 0; s < 3; ++s) {
      std::vector<uint8_t> y(14 * 14, kYuvSamples[s][0]), u(7 * 7, kYuvSamples[s][1]),
          v(7 * 7, kYuvSamples[s][2]);
      ImageView view;
      view.format = PixelFormat::kI420;
      view.width = view.height = 14;
      view.planes[0] = {y.data(), 14};
      view.planes[1] = {u.data(), 7};
      view.planes[2] = {v.data(), 7};
      view.matrix = c.matrix;
      view.full_range = c.full_range;
      const auto x = input(view, depth.view, {14, 14}, plain_spec());
      for (int i = 0; i < 3; ++i) EXPECT_EQ(std::lround(x[i * 196] * 255), c.rgb[s][i]) << "sample " << s;
    }
  }
}

TEST(Preprocess, ReadsTheSamePictureFromEveryYuvLayout) {
  // Odd sizes: the last chroma sample covers one column and one row only.
  const int width = 17, height = 15, pairs = 9, chroma_rows = 8;
  auto luma = [](int x, int y) { return static_cast<uint8_t>(16 + (x * 13 + y * 29) % 200); };
  auto chroma = [](int x, int y, int c) {
    return static_cast<uint8_t>(64 + (x * 11 + y * 17 + c * 40) % 128);
  };
  std::vector<uint8_t> planar_y(width * height), planar_u(pairs * chroma_rows), planar_v(pairs * chroma_rows);
  std::vector<uint8_t> nv12_uv(2 * pairs * chroma_rows), yuy2(4 * pairs * height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) planar_y[y * width + x] = luma(x, y);
    for (int x = 0; x < pairs; ++x) {
      const int i = y / 2 * pairs + x;
      planar_u[i] = nv12_uv[2 * i] = chroma(x, y / 2, 0);
      planar_v[i] = nv12_uv[2 * i + 1] = chroma(x, y / 2, 1);
      uint8_t* macro = &yuy2[(y * pairs + x) * 4];
      macro[0] = luma(2 * x, y);
      macro[1] = chroma(x, y / 2, 0);
      macro[2] = 2 * x + 1 < width ? luma(2 * x + 1, y) : kPadding;
      macro[3] = chroma(x, y / 2, 1);
    }
  }
  ImageView view;
  view.width = width;
  view.height = height;
  const Depth depth = depth_frame(1, 1, {0});
  auto read = [&](PixelFormat format, Plane p0, Plane p1, Plane p2) {
    view.format = format;
    view.planes[0] = p0;
    view.planes[1] = p1;
    view.planes[2] = p2;
    check(view);
    return input(view, depth.view, {width, height}, plain_spec());
  };
  const auto i420 =
      read(PixelFormat::kI420, {planar_y.data(), width}, {planar_u.data(), pairs}, {planar_v.data(), pairs});
  EXPECT_EQ(read(PixelFormat::kNv12, {planar_y.data(), width}, {nv12_uv.data(), 2 * pairs}, {}), i420);
  EXPECT_EQ(read(PixelFormat::kYuy2, {yuy2.data(), 4 * pairs}, {}, {}), i420);
  // Limited range BT.601 by the formula, on one pixel with its own chroma.
  const double y = (luma(16, 14) - 16) * 255 / 219.0, v = (chroma(8, 7, 1) - 128) * 255 / 224.0;
  EXPECT_NEAR(i420[14 * width + 16] * 255, std::clamp(y + 1.402 * v, 0.0, 255.0), 0.51);
}

TEST(Preprocess, InvertsDepthInsideItsLimits) {
  const std::vector<uint16_t> steps = {0, 1, 999, 1000, 1001, 24999, 25000, 25001, 65535};
  for (const bool big_endian : {false, true}) {
    const Depth depth = depth_frame(9, 1, steps, big_endian);
    const auto x = input(rgb_picture(9, 1).view, depth.view, {9, 1}, plain_spec());
    for (int i = 0; i < 9; ++i) {
      const float m = static_cast<float>(steps[i] * 0.001);
      EXPECT_EQ(x[27 + i], m > 0 && m <= 25.0f ? 1.0f / m : 0.0f) << steps[i];
    }
    EXPECT_EQ(x[27 + 6], 0.04f) << "25 m is still depth";
  }
  Depth limited = depth_frame(9, 1, steps);
  limited.view.min_depth_m = 1.0;
  limited.view.max_depth_m = 24.999;
  const auto x = input(rgb_picture(9, 1).view, limited.view, {9, 1}, plain_spec());
  EXPECT_EQ(std::vector<float>(x.begin() + 27, x.end()),
            (std::vector<float>{0, 0, 0, 1.0f, 1.0f / static_cast<float>(1.001),
                                1.0f / static_cast<float>(24.999), 0, 0, 0}));
  EXPECT_EQ(count_measured(limited.view), 3);
  EXPECT_TRUE(any_measured(limited.view));
  limited.view.metres_per_step = 1e-45;  // metres vanish in float32
  EXPECT_EQ(count_measured(limited.view), 0);
  EXPECT_FALSE(any_measured(limited.view));
}

TEST(Preprocess, NeverFeedsWhatIsNotFinite) {
  std::vector<uint16_t> all(65536);
  for (int i = 0; i < 65536; ++i) all[i] = static_cast<uint16_t>(i);
  for (const double unit : {1e-44, 1e-40, 0.0001, 0.001, 1e34, 1e300}) {
    Depth depth = depth_frame(256, 256, all);
    depth.view.metres_per_step = unit;
    depth.view.max_depth_m = std::numeric_limits<double>::infinity();
    const auto x = input(rgb_picture(256, 256).view, depth.view, {256, 256}, plain_spec());
    for (size_t i = 3 * 65536; i < x.size(); ++i) ASSERT_TRUE(std::isfinite(x[i])) << unit << " step " << i;
  }
}

TEST(Check, RefusesViewsThatContradictThemselves) {
  const Picture picture = rgb_picture(16, 16);
  auto image = [&](auto change) {
    ImageView view = picture.view;
    change(view);
    return view;
  };
  EXPECT_NO_THROW(check(picture.view));
  EXPECT_THROW(check(image([](ImageView& v) { v.width = 0; })), Error);
  EXPECT_THROW(check(image([](ImageView& v) { v.height = -1; })), Error);
  EXPECT_THROW(check(image([](ImageView& v) { v.planes[0].data = nullptr; })), Error);
  EXPECT_THROW(check(image([](ImageView& v) { v.planes[0].stride_bytes = 47; })), Error);
  EXPECT_THROW(check(image([](ImageView& v) { v.planes[0].stride_bytes = -47; })), Error);
  EXPECT_THROW(check(image([](ImageView& v) { v.format = PixelFormat::kNv12; })), Error) << "no second plane";
  EXPECT_THROW(check(image([](ImageView& v) { v.format = static_cast<PixelFormat>(99); })), Error);

  const Depth depth = depth_frame(4, 4, {0});
  auto depth_with = [&](auto change) {
    DepthView view = depth.view;
    change(view);
    return view;
  };
  EXPECT_NO_THROW(check(depth.view));
  EXPECT_THROW(check(depth_with([](DepthView& v) { v.stride_bytes = 7; })), Error);
  EXPECT_THROW(check(depth_with([](DepthView& v) { v.metres_per_step = 0; })), Error);
  EXPECT_THROW(check(depth_with([](DepthView& v) { v.metres_per_step = std::nan(""); })), Error);
  EXPECT_THROW(check(depth_with([](DepthView& v) { v.min_depth_m = 30; })), Error);
  EXPECT_THROW(check(DepthOut{}), Error);
  EXPECT_THROW(check(image([](ImageView& v) { v.memory = static_cast<Memory>(99); })), Error);
  try {
    check(image([](ImageView& v) { v.planes[0].stride_bytes = 47; }));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("47"), std::string::npos) << error.what();
  }
}

TEST(Check, CudaMemoryIsForTheDevice) {
  alignas(2) uint8_t pixels[40] = {};
  DepthOut out;
  out.data = pixels;
  out.stride_bytes = 6;
  out.width = 3;
  out.height = 2;
  out.memory = Memory::kCuda;
  EXPECT_NO_THROW(check(out));
  out.data = pixels + 1;
  EXPECT_THROW(check(out), Error) << "16-bit pixels at odd addresses";
  out.memory = Memory::kHost;
  EXPECT_NO_THROW(check(out));
  out.data = pixels;
  out.stride_bytes = 7;
  EXPECT_NO_THROW(check(out));
  out.memory = Memory::kCuda;
  EXPECT_THROW(check(out), Error);

  Picture picture = rgb_picture(14, 14);
  picture.view.memory = Memory::kCuda;
  EXPECT_NO_THROW(check(picture.view));
  EXPECT_THROW(preprocess(picture.view, depth_frame(1, 1, {1}).view, {14, 14}, {}), Error);
}

}  // namespace
}  // namespace rgbd
