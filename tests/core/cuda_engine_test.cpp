// SPDX-License-Identifier: Apache-2.0
// The engine on a CUDA device: frames from host and from device memory, in the order of the caller's streams,
// and nothing read after it was let go. Skips without a device.
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "tests/core/cuda_memory.h"
#include "tests/core/stand_in.h"

namespace rgbd {
namespace {

using namespace test;  // NOLINT: the whole of it
using CudaEngine = OnGpu;

/// `stream` stops there until the gate is opened.
void stop(cudaStream_t stream, Gate& gate) {
  ok(cudaLaunchHostFunc(
      stream, [](void* at) { static_cast<Gate*>(at)->pass(); }, &gate));
}

cudaStream_t current_stream() {
  const c10::DeviceGuard guard(kDevice);
  return static_cast<cudaStream_t>(
      c10::impl::VirtualGuardImpl(kDevice.type()).getStream(kDevice).native_handle());
}

/// Inverse depth from the colours alone, so that the output tells which were read.
at::Tensor from_colour(const at::Tensor& x) {
  return x.select(1, 0).mul(0.5).add(x.select(1, 1)).add(x.select(1, 2)).add(0.25);
}

std::shared_ptr<Engine> open_on(const std::string& device, Forward forward = from_colour) {
  Options options;
  options.device = device;
  return open_engine(options, loads(std::move(forward)));
}

std::vector<uint8_t> refined_by_the_cpu(const ImageView& image, const DepthView& depth, int width,
                                        int height) {
  static const auto engine = open_on("cpu");
  OutFrame out(width, height);
  EXPECT_TRUE(submit(engine, kB, image, depth, out.view)->wait());
  return out.bytes;
}

TEST_F(CudaEngine, DevicePointersInAndOutCrossNoBus) {
  const auto engine = open_on("cuda");
  const ColourFrame colour(PixelFormat::kBgrx, 640, 480, 1);
  const DepthFrame depth(640, 480, 2);
  const OutFrame out(640, 480);
  const DeviceColour colour_there(colour);
  const OnDevice out_there(out.bytes);
  DepthOut to = out.view;
  to.data = out_there.data();
  to.memory = Memory::kCuda;
  const auto result = submit(engine, kA, colour_there.view, depth.view, to)->wait();
  ASSERT_TRUE(result);
  EXPECT_EQ(out_there.bytes(), refined_by_the_cpu(colour.view, depth.view, 640, 480));
  EXPECT_EQ(result->host_to_device_copies, 1u) << "the depth";
  EXPECT_EQ(result->host_to_device_bytes, 2u * 640 * 480);
  EXPECT_EQ(result->device_to_host_copies, 1u) << "the range";
  EXPECT_EQ(result->device_to_host_bytes, 8u * 480);
}

TEST_F(CudaEngine, HostFramesCrossOnceEach) {
  const auto engine = open_on("cuda");
  const ColourFrame colour(PixelFormat::kNv12, 641, 479, 1, {13, false});
  const DepthFrame depth(320, 240, 2);
  OutFrame out(641, 479);
  const auto result = submit(engine, kA, colour.view, depth.view, out.view)->wait();
  ASSERT_TRUE(result);
  EXPECT_EQ(out.bytes, refined_by_the_cpu(colour.view, depth.view, 641, 479));
  EXPECT_EQ(result->host_to_device_copies, 2u);
  EXPECT_EQ(result->host_to_device_bytes, 641u * 479 + 642u * 240 + 2u * 320 * 240);
  EXPECT_EQ(result->device_to_host_copies, 1u);
  EXPECT_EQ(result->device_to_host_bytes, 2u * 641 * 479 + 8u * 479);
}

// Streams are stopped below, by gates that open once the network is queued. What a first pair brings about
// (memory, kernels being loaded) may wait for the whole device, so each test runs one pair before it stops
// anything.

TEST_F(CudaEngine, WaitForTheCallersStream) {
  const ColourFrame right(PixelFormat::kRgb, 56, 42, 1), wrong(PixelFormat::kRgb, 56, 42, 2);
  const DepthFrame depth(56, 42, 3);
  const auto expected = refined_by_the_cpu(right.view, depth.view, 56, 42),
             stale = refined_by_the_cpu(wrong.view, depth.view, 56, 42);
  ASSERT_NE(expected, stale);
  Gate queued;
  std::atomic<Gate*> gate = nullptr;
  const auto engine = open_on("cuda", [&](const at::Tensor& x) {
    at::Tensor y = from_colour(x);
    if (Gate* now = gate)
      now->open();  // whoever does not wait for the stream has read the wrong colours by now
    return y;
  });
  const Stream stream;
  DeviceColour colour(wrong);
  const DeviceColour source(right);
  colour.view.cuda_stream = stream;
  OutFrame out(56, 42);
  EXPECT_TRUE(submit(engine, kA, colour.view, depth.view, out.view)->wait());
  EXPECT_EQ(out.bytes, stale);

  gate = &queued;
  stop(stream, queued);
  ok(cudaMemcpyAsync(colour.planes[0]->data(), source.planes[0]->data(), right.bytes[0].size(),
                     cudaMemcpyDeviceToDevice, stream));
  EXPECT_TRUE(submit(engine, kA, colour.view, depth.view, out.view)->wait());
  EXPECT_EQ(out.bytes, expected);
}

TEST_F(CudaEngine, WriteAfterTheCallersStreamIsDoneWithTheOutput) {
  const ColourFrame colour(PixelFormat::kRgb, 56, 42, 1);
  const DepthFrame depth(56, 42, 3);
  const auto expected = refined_by_the_cpu(colour.view, depth.view, 56, 42);
  Gate queued;
  std::atomic<Gate*> gate = nullptr;
  const auto engine = open_on("cuda", [&](const at::Tensor& x) {
    at::Tensor y = from_colour(x);
    if (Gate* now = gate) now->open();
    return y;
  });
  const Stream stream;
  const OutFrame out(56, 42);
  const OnDevice used_before(out.bytes), there(out.bytes);
  DepthOut to = out.view;
  to.data = used_before.data();
  to.memory = Memory::kCuda;
  to.cuda_stream = stream;
  EXPECT_TRUE(submit(engine, kA, colour.view, depth.view, to)->wait());

  to.data = there.data();
  gate = &queued;
  stop(stream, queued);
  ok(cudaMemcpyAsync(used_before.data(), there.data(), out.bytes.size(), cudaMemcpyDeviceToDevice, stream));
  EXPECT_TRUE(submit(engine, kA, colour.view, depth.view, to)->wait());
  EXPECT_EQ(there.bytes(), expected);
  ok(cudaStreamSynchronize(stream));
  EXPECT_EQ(used_before.bytes(), out.bytes) << "overwritten while the caller read it";
}

TEST_F(CudaEngine, AFrameGoesBeforeTheNetworkEnds) {
  const ColourFrame colour(PixelFormat::kRgb, 56, 42, 1);
  const DepthFrame depth(56, 42, 3);
  const DeviceColour there(colour);
  const auto expected = refined_by_the_cpu(colour.view, depth.view, 56, 42);
  std::atomic<Gate*> gate = nullptr;
  const auto engine = open_on("cuda", [&](const at::Tensor& x) {
    at::Tensor y = from_colour(x);
    if (Gate* now = gate) stop(current_stream(), *now);
    return y;
  });
  for (const ImageView& view : {there.view, colour.view}) {
    OutFrame out(56, 42);
    gate = nullptr;
    EXPECT_TRUE(submit(engine, kA, view, depth.view, out.view)->wait());
    Gate gone;  // if the frame went after the network only, nobody would open it
    gate = &gone;
    ImageView image = view;
    image.owner = std::shared_ptr<const void>(&gone, [&](const void*) { gone.open(); });
    auto pending = submit(engine, kA, image, depth.view, out.view);
    image.owner = nullptr;
    EXPECT_TRUE(pending->wait());
    EXPECT_EQ(out.bytes, expected);
  }
}

/// Two buffers, each painted over the moment it comes back, as a camera does with its next frame.
class TwoBuffers {
 public:
  explicit TwoBuffers(bool on_device, size_t bytes) : on_device_(on_device), bytes_(bytes) {
    for (void*& buffer : buffers_) {
      if (on_device) {
        ok(cudaMalloc(&buffer, bytes));
      } else {
        buffer = std::malloc(bytes);
      }
    }
  }
  ~TwoBuffers() {
    for (void* buffer : buffers_) {
      if (on_device_) {
        cudaFree(buffer);
      } else {
        std::free(buffer);
      }
    }
  }
  TwoBuffers(const TwoBuffers&) = delete;

  /// The next free one, holding `bytes`; blocks until there is one.
  std::shared_ptr<void> take(const std::vector<uint8_t>& bytes) {
    int index = 0;
    {
      std::unique_lock lock(mutex_);
      back_.wait(lock, [&] { return !taken_[0] || !taken_[1]; });
      index = taken_[0] ? 1 : 0;
      taken_[index] = true;
    }
    void* const buffer = buffers_[index];
    if (on_device_) {
      ok(cudaMemcpyAsync(buffer, bytes.data(), bytes_, cudaMemcpyHostToDevice, stream_));
    } else {
      std::memcpy(buffer, bytes.data(), bytes_);
    }
    return {buffer, [this, index](void* buffer) {
              if (on_device_) {
                ok(cudaMemsetAsync(buffer, 0xEE, bytes_, stream_));
                ok(cudaStreamSynchronize(stream_));
              } else {
                std::memset(buffer, 0xEE, bytes_);
              }
              std::lock_guard lock(mutex_);
              taken_[index] = false;
              back_.notify_all();
            }};
  }
  cudaStream_t stream() const { return stream_; }

 private:
  const bool on_device_;
  const size_t bytes_;
  const Stream stream_;
  void* buffers_[2] = {};
  std::mutex mutex_;
  std::condition_variable back_;
  bool taken_[2] = {};
};

TEST_F(CudaEngine, APoolOfTwoBuffersIsEnough) {
  const auto engine = open_on("cuda");
  constexpr int kFrames = 200, kKinds = 7, kWidth = 320, kHeight = 240;
  std::vector<std::unique_ptr<ColourFrame>> colours;
  std::vector<std::vector<uint8_t>> expected;
  const DepthFrame depth(kWidth, kHeight, 3);
  for (uint32_t kind = 0; kind < kKinds; ++kind) {
    colours.push_back(std::make_unique<ColourFrame>(PixelFormat::kRgba, kWidth, kHeight, kind));
    expected.push_back(refined_by_the_cpu(colours.back()->view, depth.view, kWidth, kHeight));
  }
  for (const bool on_device : {true, false}) {
    TwoBuffers pool(on_device, colours[0]->bytes[0].size());
    struct UnderWay {
      std::unique_ptr<OutFrame> out;
      std::unique_ptr<Pending> pending;
      int kind;
    };
    std::deque<UnderWay> under_way;
    auto finish_one = [&] {
      const UnderWay pair = std::move(under_way.front());
      under_way.pop_front();
      ASSERT_TRUE(pair.pending->wait());
      ASSERT_EQ(pair.out->bytes, expected[static_cast<size_t>(pair.kind)])
          << "a frame was painted over before it was read, from " << (on_device ? "device" : "host");
    };
    for (int i = 0; i < kFrames && !HasFatalFailure(); ++i) {
      const int kind = i * 5 % kKinds;
      const auto& from = *colours[static_cast<size_t>(kind)];
      ImageView image = from.view;
      auto buffer = pool.take(from.bytes[0]);
      image.planes[0].data = static_cast<const uint8_t*>(buffer.get());
      image.owner = std::move(buffer);
      if (on_device) {
        image.memory = Memory::kCuda;
        image.cuda_stream = pool.stream();
      }
      auto out = std::make_unique<OutFrame>(kWidth, kHeight);
      auto pending = submit(engine, kA, image, depth.view, out->view);
      image.owner = nullptr;
      under_way.push_back({std::move(out), std::move(pending), kind});
      if (under_way.size() > 2) finish_one();
    }
    while (!under_way.empty() && !HasFatalFailure()) finish_one();
    drain(engine, kA);
  }
}

TEST_F(CudaEngine, PairsWithoutDepthComeBackEmptyInDeviceMemory) {
  const auto engine = open_on("cuda");
  const ColourFrame colour(PixelFormat::kRgb, 56, 42, 1);
  DepthFrame depth(56, 42, 3);
  std::fill(depth.bytes.begin(), depth.bytes.end(), uint8_t{0});
  const OutFrame out(56, 42);
  const OnDevice there(out.bytes);
  DepthOut to = out.view;
  to.data = there.data();
  to.memory = Memory::kCuda;
  EXPECT_TRUE(submit(engine, kA, colour.view, depth.view, to)->wait());
  EXPECT_EQ(there.bytes(), std::vector<uint8_t>(out.bytes.size(), 0));
}

TEST_F(CudaEngine, BatchesOfCamerasGetTheirOwnDepth) {
  Options options;
  options.device = "cuda";
  options.batch_size = 3;
  options.batch_timeout_ns = kHour;
  options.instance_id = "shared";
  std::vector<std::shared_ptr<Engine>> cameras;
  for (int i = 0; i < 3; ++i) cameras.push_back(open_engine(options, loads(from_colour)));
  const void* callers[] = {kA, kC, kD};
  std::vector<std::unique_ptr<ColourFrame>> colours;
  std::vector<std::unique_ptr<OutFrame>> outs;
  std::vector<std::unique_ptr<Pending>> pending;
  const DepthFrame depth(56, 42, 3);
  for (uint32_t i = 0; i < 3; ++i) {
    colours.push_back(std::make_unique<ColourFrame>(kFormats[4 * i], 56, 42, i));
    outs.push_back(std::make_unique<OutFrame>(56, 42));
    pending.push_back(submit(cameras[i], callers[i], colours[i]->view, depth.view, outs[i]->view));
  }
  for (size_t i = 0; i < 3; ++i) {
    const auto result = pending[i]->wait();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->batch, 3u);
    EXPECT_EQ(outs[i]->bytes, refined_by_the_cpu(colours[i]->view, depth.view, 56, 42)) << i;
  }
}

}  // namespace
}  // namespace rgbd
