// SPDX-License-Identifier: Apache-2.0
// The engine over frames on a device, which is a queue here that nobody works off before the engine waits for
// it: what it lets go too early is gone by then. The real one: cuda_frames_test.cpp.
#include "core/device_frames.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "tests/core/stand_in.h"

namespace rgbd {
namespace {

using namespace test;  // NOLINT: the whole of it

using Steps = std::vector<std::string>;

/// What the engine and its device did, in order.
class Diary {
 public:
  void add(const std::string& step) {
    std::lock_guard lock(mutex_);
    steps_.push_back(step);
  }
  Steps take() {
    std::lock_guard lock(mutex_);
    return std::exchange(steps_, {});
  }

 private:
  std::mutex mutex_;
  Steps steps_;
};

struct Device {
  Diary diary;
  std::function<void()> on_preprocess, on_write;  // may throw
  std::mutex submitting;  // held until the caller has let go of its own hold on the colour

  // The worker's thread alone.
  std::deque<std::function<void()>> queue;
  size_t until_read = 0;  // of the queue
  void run(size_t count) {
    for (; count > 0; --count) {
      const auto work = std::move(queue.front());
      queue.pop_front();
      work();
    }
  }
  /// A network's answer, queued.
  at::Tensor later(const at::Tensor& x) {
    at::Tensor y = at::empty({x.size(0), x.size(2), x.size(3)}, at::kFloat);
    diary.add("network queued");
    queue.push_back([this, x, y] {
      diary.add("network");
      at::Tensor to = y;
      to.copy_(x.select(1, 3));
    });
    return y;
  }
};

class StandInFrames : public DeviceFrames {
 public:
  explicit StandInFrames(Device& device) : device_(device) { device_.diary.add("frames made"); }
  ~StandInFrames() override { device_.diary.add("frames gone"); }

  StreamMark admit(const ImageView& image) const override {
    if (image.planes[0].stride_bytes > 4096) throw Error(ErrorCode::kInvalidArgument, "of another device");
    return std::make_shared<int>(1);
  }
  StreamMark admit(const DepthOut&) const override { return std::make_shared<int>(2); }

  at::Tensor preprocess(size_t slot, const ImageView& image, const StreamMark& ready, const DepthView& depth,
                        Size size, const InputSpec& spec) override {
    EXPECT_EQ(ready != nullptr, image.memory == Memory::kCuda);
    { std::lock_guard lock(device_.submitting); }
    device_.diary.add("preprocess " + std::to_string(slot));
    if (device_.on_preprocess) device_.on_preprocess();
    ImageView colour = image;  // read when the queue gets there
    colour.memory = Memory::kHost;
    colour.owner = nullptr;
    const auto copy = std::make_shared<std::vector<uint8_t>>(
        depth.data, depth.data + depth.stride_bytes * depth.height);  // read now
    DepthView copied = depth;
    copied.data = copy->data();
    copied.owner = copy;
    at::Tensor x = rgbd::preprocess(colour, depth, size, spec);  // the depth: a batch copies it at once
    for (int c = 0; c < 3; ++c) x[c].zero_();
    device_.queue.push_back([this, x, colour, copied, size, spec] {
      device_.diary.add("read");
      at::Tensor to = x;
      to.copy_(rgbd::preprocess(colour, copied, size, spec));
    });
    device_.until_read = device_.queue.size();
    return x;
  }

  void postprocess(size_t slot, const at::Tensor& y, const DepthOut& out,
                   const std::vector<uint8_t>& left_open) override {
    device_.diary.add("postprocess " + std::to_string(slot));
    if (maps_.size() <= slot) maps_.resize(slot + 1);
    maps_[slot] = {y, left_open};
  }

  void wait_until_read() override {
    device_.run(std::exchange(device_.until_read, 0));
    device_.diary.add("all read");
  }

  void wait() override {
    device_.until_read = 0;
    device_.run(device_.queue.size());
    device_.diary.add("waited");
  }

  void wait_for(const StreamMark& mark) override { device_.diary.add(mark ? "output free" : "no stream"); }

  InverseRange write(size_t slot, const DepthOut& out, Result& result) override {
    EXPECT_TRUE(device_.queue.empty());
    device_.diary.add("write " + std::to_string(slot));
    if (device_.on_write) device_.on_write();
    result.inference_ms = 7;
    result.host_to_device_copies = 2;
    DepthOut here = out;
    here.memory = Memory::kHost;
    return rgbd::postprocess(maps_[slot].first, here, maps_[slot].second);
  }

  void clear(const DepthOut& out) override {
    device_.diary.add("clear");
    for (int y = 0; y < out.height; ++y)
      std::fill_n(out.data + y * out.stride_bytes, 2 * static_cast<size_t>(out.width), uint8_t{0});
  }

 private:
  Device& device_;
  std::vector<std::pair<at::Tensor, std::vector<uint8_t>>> maps_;
};

/// An engine over `device`; its network answers with the depth it was fed.
std::shared_ptr<Engine> open(Device& device, const Options& options = {}, Forward forward = {}) {
  if (!forward) forward = [&device](const at::Tensor& x) { return device.later(x); };
  return open_engine(
      options,
      [&device, forward](const NetworkOptions&) {
        device.diary.add("network made");
        return std::make_unique<StandIn>(forward);
      },
      [&device](at::Device) { return std::make_unique<StandInFrames>(device); });
}

/// A pair whose colour, in device memory, is painted over the moment it is let go.
struct DevicePair : Pair {
  explicit DevicePair(Device& device, uint16_t steps, int width = 28) : Pair(steps, width), device(device) {
    image.memory = Memory::kCuda;
    image.owner = std::shared_ptr<const void>(&rgb, [this, &device](const void*) {
      device.diary.add("colour gone");
      std::fill(rgb.begin(), rgb.end(), uint8_t{0xEE});
    });
  }
  std::unique_ptr<Pending> submit(const std::shared_ptr<Engine>& engine, const void* caller) {
    std::lock_guard lock(device.submitting);
    auto pending = Pair::submit(engine, caller);
    image.owner = nullptr;
    return pending;
  }

  Device& device;
};

TEST(OnDevice, EverythingIsQueuedBeforeAnythingIsWaitedFor) {
  Device device;
  auto engine = open(device);
  DevicePair pair(device, 1234);
  const auto result = pair.submit(engine, kA)->wait();
  ASSERT_TRUE(result);
  EXPECT_TRUE(pair.all(1234));
  EXPECT_EQ(result->inference_ms, 7) << "the device knows, not the CPU";
  EXPECT_EQ(result->host_to_device_copies, 2u);
  EXPECT_GT(result->preprocess_ms, 0);
  EXPECT_GT(result->postprocess_ms, 0);
  engine.reset();
  EXPECT_EQ(device.diary.take(),
            (Steps{"frames made", "network made", "preprocess 0", "network queued", "postprocess 0", "read",
                   "all read", "colour gone", "network", "waited", "write 0", "frames gone"}));
}

TEST(OnDevice, ColourIsReadBeforeItGoesAndGoesBeforeTheNetworkEnds) {
  Device device;
  std::vector<float> fed;
  auto engine = open(device, {}, [&](const at::Tensor& x) {
    at::Tensor y = device.later(x);
    device.queue.push_back([&, x] {
      for (int c = 0; c < 3; ++c) fed.push_back(x[0][c][0][0].item<float>());
    });
    return y;
  });
  DevicePair pair(device, 1000);
  EXPECT_TRUE(pair.submit(engine, kA)->wait());
  EXPECT_EQ(pair.rgb[0], 0xEE);
  EXPECT_EQ(fed, (std::vector<float>{30 / 255.0f, 20 / 255.0f, 10 / 255.0f}));
}

TEST(OnDevice, AWarmUpHasNoFrames) {
  Device device;
  auto engine = open(device);
  device.diary.take();
  warm_up(engine, kA, 28, 28);
  EXPECT_EQ(device.diary.take(), (Steps{"network queued", "all read", "network", "waited"}));
}

TEST(OnDevice, ABatchIsWaitedForOnce) {
  Device device;
  Gate gate;
  Options options;
  options.batch_size = 2;
  bool first = true;
  auto engine = open(device, options, [&](const at::Tensor& x) {
    if (std::exchange(first, false)) gate.pass();
    return device.later(x);
  });
  DevicePair blocker(device, 1000), a(device, 2000), b(device, 3000);
  auto pending = blocker.submit(engine, kA);
  gate.wait_for_arrival();
  auto pending_a = a.submit(engine, kB), pending_b = b.submit(engine, kC);
  gate.open();
  EXPECT_TRUE(pending->wait());
  EXPECT_EQ(pending_a->wait()->batch, 2u);
  EXPECT_EQ(pending_b->wait()->batch, 2u);
  EXPECT_TRUE(a.all(2000));
  EXPECT_TRUE(b.all(3000));
  const Steps steps = device.diary.take();
  const auto batch = std::find(steps.begin(), steps.end(), "write 0") + 1;
  EXPECT_EQ(
      Steps(batch, steps.end()),
      (Steps{"preprocess 0", "preprocess 1", "network queued", "postprocess 0", "postprocess 1", "read",
             "read", "all read", "colour gone", "colour gone", "network", "waited", "write 0", "write 1"}));
}

TEST(OnDevice, ABatchThatFailsIsRunPairByPairFromItsOwnSlots) {
  Device device;
  Gate gate;
  Options options;
  options.batch_size = 2;
  bool first = true;
  auto engine = open(device, options, [&](const at::Tensor& x) {
    if (std::exchange(first, false)) gate.pass();
    if (x.size(0) > 1) throw std::bad_alloc();
    return device.later(x);
  });
  DevicePair blocker(device, 1000), a(device, 2000), b(device, 3000);
  auto pending = blocker.submit(engine, kA);
  gate.wait_for_arrival();
  auto pending_a = a.submit(engine, kB), pending_b = b.submit(engine, kC);
  gate.open();
  EXPECT_TRUE(pending->wait());
  EXPECT_EQ(pending_a->wait()->batch, 1u);
  EXPECT_EQ(pending_b->wait()->batch, 1u);
  EXPECT_TRUE(a.all(2000));
  EXPECT_TRUE(b.all(3000));
}

TEST(OnDevice, FramesStayWhereTheNetworkFailsUntilTheyAreRead) {
  Device device;
  auto engine = open(device, {}, [](const at::Tensor&) -> at::Tensor { throw std::bad_alloc(); });
  DevicePair pair(device, 1000);
  device.diary.take();
  auto pending = pair.submit(engine, kA);
  EXPECT_EQ(code_of([&] { pending->wait(); }), ErrorCode::kOutOfMemory);
  EXPECT_EQ(device.diary.take(), (Steps{"preprocess 0", "read", "waited", "colour gone"}));
}

TEST(OnDevice, OnePairsTroubleIsNotTheOthers) {
  Device device;
  auto engine = open(device);
  device.on_preprocess = [] { throw Error(ErrorCode::kDevice, "no more"); };
  DevicePair bad(device, 1000), good(device, 2000);
  auto pending = bad.submit(engine, kA);
  EXPECT_EQ(code_of([&] { pending->wait(); }), ErrorCode::kDevice);
  device.on_preprocess = {};
  EXPECT_TRUE(good.submit(engine, kA)->wait());
  EXPECT_TRUE(good.all(2000));
  device.on_write = [] { throw Error(ErrorCode::kDevice, "no more"); };
  DevicePair worse(device, 1000);
  pending = worse.submit(engine, kA);
  EXPECT_EQ(code_of([&] { pending->wait(); }), ErrorCode::kDevice);
  EXPECT_TRUE(worse.all(Pair::kUntouched));
}

TEST(OnDevice, WritesToDeviceMemoryUnlessCancelled) {
  Device device;
  Gate gate;
  auto engine = open(device, {}, [&](const at::Tensor& x) {
    gate.pass();
    return device.later(x);
  });
  DevicePair kept(device, 1000), dropped(device, 2000), empty(device, 0);
  for (DevicePair* pair : {&kept, &dropped, &empty}) pair->out.memory = Memory::kCuda;
  auto pending = dropped.submit(engine, kA);
  gate.wait_for_arrival();
  pending->cancel();
  EXPECT_FALSE(pending->wait());
  gate.open();
  drain(engine, kA);
  EXPECT_TRUE(dropped.all(Pair::kUntouched));
  device.diary.take();
  EXPECT_TRUE(kept.submit(engine, kA)->wait());
  EXPECT_TRUE(kept.all(1000));
  const Steps steps = device.diary.take();
  EXPECT_EQ(Steps(steps.end() - 3, steps.end()), (Steps{"waited", "output free", "write 0"}));
  EXPECT_TRUE(empty.submit(engine, kA)->wait());
  EXPECT_TRUE(empty.all(0));
  EXPECT_EQ(device.diary.take(), (Steps{"output free", "clear", "colour gone"}))
      << "without depth nothing runs";
}

TEST(OnDevice, LargeHolesStayOpen) {
  Device device;
  auto engine = open(device);
  DevicePair pair(device, 1000);
  pair.depth.max_hole = 0.1;
  for (size_t i = 0; i < pair.raw.size() / 2; ++i) pair.raw[i] = 0;
  EXPECT_TRUE(pair.submit(engine, kA)->wait());
  for (size_t i = 0; i < pair.raw.size(); ++i) ASSERT_EQ(pair.refined[i], pair.raw[i]) << i;
}

TEST(OnDevice, MemoryOfAnotherDeviceIsRefusedAtOnce) {
  Device device;
  auto engine = open(device);
  DevicePair pair(device, 1000);
  pair.image.planes[0].stride_bytes = 5000;  // the stand-in's sign for it
  EXPECT_EQ(code_of([&] { submit(engine, kA, pair.image, pair.depth, pair.out); }),
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace rgbd
