// SPDX-License-Identifier: Apache-2.0
// The kernels of frames on a CUDA device: the CPU's bits, for every format and size. Skips without a device.
#include <c10/core/InferenceMode.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/core/cuda_memory.h"
#include "tests/core/stand_in.h"

namespace rgbd {
namespace {

using namespace test;  // NOLINT: the whole of it
using CudaFrames = OnGpu;

TEST_F(CudaFrames, PrepareEveryFormatAndSizeAsTheCpu) {
  const c10::InferenceMode inference;
  const auto frames = device_frames(kDevice);
  uint32_t seed = 1;
  for (const PixelFormat format : kFormats) {
    for (const SizeCase& sizes : kSizes) {
      const Lie lie{static_cast<int>(seed % 3) * 5, seed % 2 == 0};
      ColourFrame colour(format, sizes.colour.width, sizes.colour.height, seed, lie);
      const DepthFrame depth(sizes.depth.width, sizes.depth.height, seed, seed % 2 == 1, lie);
      colour.view.matrix = static_cast<ColorMatrix>(seed % 3);
      colour.view.full_range = seed % 4 < 2;
      InputSpec spec;
      spec.bgr = seed % 5 < 3;
      const std::string what = std::string(name(format)) + " " + name_of(sizes);
      const at::Tensor expected = preprocess(colour.view, depth.view, sizes.network, spec);
      const size_t slot = seed % 4;
      at::Tensor x = frames->preprocess(slot, colour.view, {}, depth.view, sizes.network, spec);
      expect_same_bits(x.to(at::kCPU), expected, what);
      const DeviceColour there(colour);
      const StreamMark ready = frames->admit(there.view);
      x = frames->preprocess(slot, there.view, ready, depth.view, sizes.network, spec);
      expect_same_bits(x.to(at::kCPU), expected, what + " in device memory");
      ++seed;
    }
  }
}

TEST_F(CudaFrames, InvertDepthOfEveryUnitAndLimitAsTheCpu) {
  const c10::InferenceMode inference;
  const auto frames = device_frames(kDevice);
  const ColourFrame colour(PixelFormat::kRgb, 14, 14, 1);
  for (const double unit : {1e-45, 1e-40, 0.0001, 0.001, 0.00025, 1.0, 1e34, 1e300}) {
    DepthFrame depth(256, 256, 2);
    for (size_t i = 0; i < 65536; ++i) {  // every step there is
      depth.bytes[2 * i] = static_cast<uint8_t>(i);
      depth.bytes[2 * i + 1] = static_cast<uint8_t>(i >> 8);
    }
    depth.view.metres_per_step = unit;
    for (const auto& [min, max] : {std::pair{0.0, 25.0}, {0.3, 6.1}, {0.0, 1e308}, {3.0, 3.0}}) {
      depth.view.min_depth_m = min;
      depth.view.max_depth_m = max;
      expect_same_bits(frames->preprocess(0, colour.view, {}, depth.view, {256, 256}, {}).to(at::kCPU),
                       preprocess(colour.view, depth.view, {256, 256}, {}), std::to_string(unit));
    }
  }
}

TEST_F(CudaFrames, FinishAsTheCpu) {
  const c10::InferenceMode inference;
  const auto frames = device_frames(kDevice);
  const ColourFrame colour(PixelFormat::kRgb, 14, 14, 1);
  const DepthFrame depth(14, 14, 1);
  uint32_t seed = 1;
  for (const SizeCase& sizes : kSizes) {
    for (const double unit : {0.001, 0.00025, 1e-7, 1.0, 1e300}) {
      const at::Tensor y = map_of(sizes.network, seed);
      const Lie lie{static_cast<int>(seed % 3) * 2, seed % 2 == 0};
      OutFrame out(sizes.colour.width, sizes.colour.height, seed % 2 == 1, lie),
          expected(sizes.colour.width, sizes.colour.height, seed % 2 == 1, lie);
      out.view.metres_per_step = expected.view.metres_per_step = unit;
      const auto open = seed % 3 == 0 ? holes_of(sizes.network, seed) : std::vector<uint8_t>{};
      const std::string what = name_of(sizes) + " in steps of " + std::to_string(unit);
      const InverseRange range = postprocess(y, expected.view, open);

      const size_t slot = seed % 4;
      const at::Tensor y_there = y.to(kDevice);
      const OnDevice there(out.bytes);
      DepthOut out_there = out.view;
      out_there.data = there.data() + (out.view.data - out.bytes.data());
      out_there.memory = Memory::kCuda;
      for (const DepthOut& to : {out.view, out_there}) {
        const bool on_device = to.memory == Memory::kCuda;
        const StreamMark ready = on_device ? frames->admit(to) : StreamMark{};
        frames->preprocess(slot, colour.view, {}, depth.view, {14, 14}, {});
        frames->postprocess(slot, y_there, to, open);
        frames->wait_until_read();
        frames->wait();
        Result result;
        frames->wait_for(ready);
        expect_same(frames->write(slot, to, result), range, what);
        EXPECT_EQ(on_device ? there.bytes() : out.bytes, expected.bytes)
            << what << (on_device ? " there" : "");

        const uint64_t mask = open.size(), ranges = 8 * static_cast<uint64_t>(to.height);
        EXPECT_EQ(result.host_to_device_copies, mask ? 3u : 2u) << what;
        EXPECT_EQ(result.host_to_device_bytes, 3u * 14 * 14 + 2 * 14 * 14 + mask) << what;
        EXPECT_EQ(result.device_to_host_copies, 1u) << what;
        EXPECT_EQ(result.device_to_host_bytes,
                  ranges + (on_device ? 0 : 2 * static_cast<uint64_t>(to.width) * to.height))
            << what;
        EXPECT_GT(result.preprocess_ms, 0) << what;
        EXPECT_GE(result.inference_ms, 0) << what;
        EXPECT_GE(result.postprocess_ms, 0) << what;
      }
      ++seed;
    }
  }
}

TEST_F(CudaFrames, ClearOutputsEitherWayUp) {
  const c10::InferenceMode inference;
  const auto frames = device_frames(kDevice);
  for (const Lie& lie : {Lie{0, false}, Lie{6, false}, Lie{6, true}}) {
    OutFrame out(17, 5, false, lie), expected(17, 5, false, lie);
    for (int y = 0; y < 5; ++y)
      std::fill_n(expected.view.data + y * expected.view.stride_bytes, 34, uint8_t{0});
    const OnDevice there(out.bytes);
    out.view.data = there.data() + (out.view.data - out.bytes.data());
    out.view.memory = Memory::kCuda;
    frames->wait_for(frames->admit(out.view));
    frames->clear(out.view);
    EXPECT_EQ(there.bytes(), expected.bytes) << lie.padding << lie.bottom_up;
  }
}

TEST_F(CudaFrames, OnlyTakeTheMemoryAndStreamsOfTheirDevice) {
  const auto frames = device_frames(kDevice);
  const ColourFrame colour(PixelFormat::kNv12, 14, 14, 1);
  DeviceColour there(colour);
  EXPECT_TRUE(frames->admit(there.view));
  auto refusal = [&](const ImageView& view) {
    std::string text;
    EXPECT_EQ(code_of([&] { frames->admit(view); }, &text), ErrorCode::kInvalidArgument);
    return text;
  };
  there.view.planes[1].data = colour.view.planes[1].data;
  EXPECT_NE(refusal(there.view).find("not"), std::string::npos) << "one plane in host memory";
  EXPECT_NE(refusal(colour.view).find("colour frame"), std::string::npos);
  OutFrame out(14, 14);
  EXPECT_EQ(code_of([&] { frames->admit(out.view); }), ErrorCode::kInvalidArgument);

  int devices = 0;
  ok(cudaGetDeviceCount(&devices));
  if (devices < 2) return;
  ok(cudaSetDevice(1));
  {
    const DeviceColour elsewhere(colour);
    EXPECT_NE(refusal(elsewhere.view).find("cuda:1"), std::string::npos);
    DeviceColour wrong_stream(colour);
    for (int p = 0; p < 2; ++p) wrong_stream.view.planes[p].data = there.planes[0]->data();
    const Stream stream;
    wrong_stream.view.cuda_stream = stream;
    EXPECT_NE(refusal(wrong_stream.view).find("stream"), std::string::npos);
  }
  ok(cudaSetDevice(0));
}

}  // namespace
}  // namespace rgbd
