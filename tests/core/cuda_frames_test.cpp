// SPDX-License-Identifier: Apache-2.0
// Frames on a CUDA device: the CPU's bits, from host and from device memory, in the order of the caller's
// streams, and nothing read after it was let go. Skips without a device.
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include "core/device.h"
#include "tests/core/frame_cases.h"
#include "tests/core/stand_in.h"

namespace rgbd {
namespace {

using namespace test;  // NOLINT: the whole of it

const at::Device kDevice(at::kCUDA, 0);

void ok(cudaError_t error) {
  ASSERT_EQ(error, cudaSuccess) << cudaGetErrorString(error);
}

class CudaFrames : public testing::Test {
 protected:
  void SetUp() override {
    const Machine machine = this_machine();
    if (machine.cuda_devices == 0) GTEST_SKIP() << machine.why_no_cuda;
    if (!cuda_module()) GTEST_SKIP() << "no CUDA module";
  }
};

/// A copy in device memory, which lies as the original.
class OnDevice {
 public:
  OnDevice(const void* from, size_t bytes) : bytes_(bytes) {
    ok(cudaMalloc(&data_, bytes));
    ok(cudaMemcpy(data_, from, bytes, cudaMemcpyHostToDevice));
  }
  explicit OnDevice(const std::vector<uint8_t>& bytes) : OnDevice(bytes.data(), bytes.size()) {}
  ~OnDevice() { cudaFree(data_); }
  OnDevice(const OnDevice&) = delete;

  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  std::vector<uint8_t> bytes() const {
    std::vector<uint8_t> bytes(bytes_);
    ok(cudaMemcpy(bytes.data(), data_, bytes_, cudaMemcpyDeviceToHost));
    return bytes;
  }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

/// A colour frame's planes in device memory, and the view of them.
struct DeviceColour {
  explicit DeviceColour(const ColourFrame& frame) : view(frame.view) {
    for (int p = 0; p < 3 && !frame.bytes[p].empty(); ++p) {
      planes[p] = std::make_unique<OnDevice>(frame.bytes[p]);
      view.planes[p].data = planes[p]->data() + (frame.view.planes[p].data - frame.bytes[p].data());
    }
    view.memory = Memory::kCuda;
  }
  std::unique_ptr<OnDevice> planes[3];
  ImageView view;
};

/// A stream that other streams do not wait for.
class Stream {
 public:
  Stream() { ok(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

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

TEST_F(CudaFrames, DevicePointersInAndOutCrossNoBus) {
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

TEST_F(CudaFrames, HostFramesCrossOnceEach) {
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

TEST_F(CudaFrames, WaitForTheCallersStream) {
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

TEST_F(CudaFrames, WriteAfterTheCallersStreamIsDoneWithTheOutput) {
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

TEST_F(CudaFrames, AFrameGoesBeforeTheNetworkEnds) {
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

TEST_F(CudaFrames, APoolOfTwoBuffersIsEnough) {
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

TEST_F(CudaFrames, PairsWithoutDepthComeBackEmptyInDeviceMemory) {
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

TEST_F(CudaFrames, BatchesOfCamerasGetTheirOwnDepth) {
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
    EXPECT_EQ(pending[i]->wait()->batch, 3u);
    EXPECT_EQ(outs[i]->bytes, refined_by_the_cpu(colours[i]->view, depth.view, 56, 42)) << i;
  }
}

}  // namespace
}  // namespace rgbd
