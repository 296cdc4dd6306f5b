// SPDX-License-Identifier: Apache-2.0
// The engine with a stand-in network: turns, cancelling, errors, endings. Batches and sharing:
// sharing_test.cpp.
#include "core/engine.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <future>
#include <thread>

#include "core/log.h"
#include "tests/core/stand_in.h"

namespace rgbd {
namespace {

using namespace test;  // NOLINT: the whole of it

TEST(Engine, RefinesAPair) {
  auto engine = open_engine({}, loads(same_depth));
  Pair pair(1234, 40, 28);
  const auto result = pair.submit(engine, kA)->wait();
  ASSERT_TRUE(result);
  EXPECT_TRUE(pair.all(1234));
  EXPECT_EQ(result->batch, 1u);
  EXPECT_FLOAT_EQ(static_cast<float>(result->max_inverse_depth), 1.0f / 1.234f);
  EXPECT_EQ(result->min_inverse_depth, result->max_inverse_depth);
  EXPECT_GT(result->inference_ms, 0);
  EXPECT_GT(result->preprocess_ms, 0);
  EXPECT_GT(result->postprocess_ms, 0);
  EXPECT_EQ(result->host_to_device_copies, 0u);  // the CPU copies nothing
  EXPECT_EQ(info(*engine).device, "cpu");
  EXPECT_EQ(info(*engine).input_size, 28u);
}

TEST(Engine, ServesCallersInTurnAndEachInOrder) {
  Gate gate;
  std::vector<int> order;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              order.push_back(pairs_in(x).at(0));
                              gate.pass();
                              return same_depth(x);
                            }));
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<std::unique_ptr<Pending>> pending;
  auto submit = [&](const void* caller, int id) {
    pairs.push_back(std::make_unique<Pair>(steps_of(id)));
    pending.push_back(pairs.back()->submit(engine, caller));
  };
  submit(kA, 10);
  gate.wait_for_arrival();
  for (int id : {11, 12, 13}) submit(kA, id);
  for (int id : {20, 21}) submit(kB, id);
  submit(kC, 30);
  gate.open();
  for (auto& p : pending) EXPECT_TRUE(p->wait());
  EXPECT_EQ(order, (std::vector<int>{10, 11, 20, 30, 12, 21, 13}));
}

TEST(Engine, CancelsWaitingPairsAndLetsTheirFramesGo) {
  Gate gate;
  std::atomic<int> runs = 0;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              ++runs;
                              gate.pass();
                              return same_depth(x);
                            }));
  Pair running(1000), waiting(2000);
  auto pending = running.submit(engine, kA);
  gate.wait_for_arrival();
  auto owner = std::make_shared<int>(0);
  waiting.image.owner = waiting.depth.owner = waiting.out.owner = owner;
  auto cancelled = waiting.submit(engine, kB);
  waiting.image.owner = waiting.depth.owner = waiting.out.owner = nullptr;
  EXPECT_EQ(owner.use_count(), 4);
  cancelled->cancel();
  EXPECT_EQ(owner.use_count(), 1) << "while the network runs another pair";
  EXPECT_FALSE(cancelled->wait());
  drain(engine, kB);  // does not wait for A's pair
  gate.open();
  EXPECT_TRUE(pending->wait());
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(waiting.all(Pair::kUntouched));
}

TEST(Engine, CancelsTheRunningPairAtOnce) {
  Gate gate;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              gate.pass();
                              return same_depth(x);
                            }));
  Pair pair(1000);
  auto image = std::make_shared<int>(0), out = std::make_shared<int>(0);
  pair.image.owner = image;
  pair.out.owner = out;
  auto pending = pair.submit(engine, kA);
  pair.image.owner = nullptr;
  pair.out.owner = nullptr;
  gate.wait_for_arrival();
  EXPECT_EQ(image.use_count(), 1) << "the colour frame is not needed any more";
  std::thread other([&] { pending->cancel(); });
  EXPECT_FALSE(pending->wait());  // the gate is still shut
  other.join();
  EXPECT_EQ(out.use_count(), 1);
  gate.open();
  drain(engine, kA);
  EXPECT_TRUE(pair.all(Pair::kUntouched)) << "written to after it was cancelled";
  Pair next(2000);
  EXPECT_TRUE(next.submit(engine, kA)->wait());
}

TEST(Engine, LetsFramesGoBeforeWaitReturns) {
  auto engine = open_engine({}, loads(same_depth));
  for (int i = 0; i < 50; ++i) {
    Pair pair(1000);
    auto owner = std::make_shared<int>(0);
    pair.image.owner = pair.depth.owner = pair.out.owner = owner;
    auto pending = pair.submit(engine, kA);
    pair.image.owner = pair.depth.owner = pair.out.owner = nullptr;
    ASSERT_TRUE(pending->wait());
    ASSERT_EQ(owner.use_count(), 1);
  }
}

TEST(Engine, DestroyingAPendingCancelsIt) {
  Gate gate;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              gate.pass();
                              return same_depth(x);
                            }));
  Pair pair(1000);
  { auto pending = pair.submit(engine, kA); }
  gate.open();
  drain(engine, kA);
  EXPECT_TRUE(pair.all(Pair::kUntouched));
}

TEST(Engine, TranslatesWhatTheNetworkThrows) {
  std::function<void()> fail;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              if (fail) fail();
                              return same_depth(x);
                            }));
  auto run = [&](std::string* text = nullptr) {
    Pair pair(1000);
    auto pending = pair.submit(engine, kA);
    return code_of([&] { pending->wait(); }, text);
  };
  std::string text;
  fail = [] { throw std::runtime_error("the moon is blue"); };
  EXPECT_EQ(run(&text), ErrorCode::kInternal);
  EXPECT_NE(text.find("the moon is blue"), std::string::npos);
  fail = [] { throw std::bad_alloc(); };
  EXPECT_EQ(run(), ErrorCode::kOutOfMemory);
  fail = [] { TORCH_CHECK(false, "shapes do not fit"); };
  EXPECT_EQ(run(&text), ErrorCode::kInternal);
  EXPECT_NE(text.find("shapes do not fit"), std::string::npos);
  EXPECT_EQ(text.find("frame #"), std::string::npos) << "a backtrace is not for users: " << text;
  fail = [] { TORCH_CHECK_WITH(OutOfMemoryError, false, "device full"); };
  EXPECT_EQ(run(), ErrorCode::kOutOfMemory);
  fail = [] { throw Error(ErrorCode::kUnsupported, "gone"); };
  EXPECT_EQ(run(&text), ErrorCode::kUnsupported);
  EXPECT_EQ(text, "gone");
  fail = [] { throw 42; };
  EXPECT_EQ(run(), ErrorCode::kInternal);
  fail = nullptr;
  Pair pair(1000);
  EXPECT_TRUE(pair.submit(engine, kA)->wait()) << "an error is one pair's, not the engine's";
}

TEST(Engine, SpeaksUtf8WhateverAFileIsCalled) {
  Options options;
  options.model = "m\xff\xe4/\xc3\xa4\xc0\x80\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82";
  const std::string bad = "\xef\xbf\xbd";
  const std::string text =
      "m" + bad + bad + "/\xc3\xa4" + bad + bad + bad + bad + bad + "\xf0\x9f\x98\x80" + bad + bad;
  std::string logged, error;
  set_log_sink([&](LogLevel, const std::string& line) { logged += line; });
  EXPECT_EQ(info(*open_engine(options, loads(same_depth))).model, text);
  EXPECT_NE(logged.find(text), std::string::npos) << logged;
  set_log_sink({});
  code_of(
      [&] {
        open_engine(options, [&](const NetworkOptions&) -> std::unique_ptr<Network> {
          throw Error(ErrorCode::kBadCheckpoint, options.model);
        });
      },
      &error);
  EXPECT_EQ(error, text);
}

TEST(Engine, FailsToOpenWithTheLoadersError) {
  EXPECT_EQ(code_of([] {
              open_engine({}, [](const NetworkOptions&) -> std::unique_ptr<Network> {
                throw Error(ErrorCode::kBadCheckpoint, "no");
              });
            }),
            ErrorCode::kBadCheckpoint);
  Options options;
  options.input_size = 13;
  EXPECT_EQ(code_of([&] { open_engine(options, loads(same_depth)); }), ErrorCode::kInvalidArgument);
  options = {};
  options.device = "toaster";
  EXPECT_EQ(code_of([&] { open_engine(options, loads(same_depth)); }), ErrorCode::kInvalidArgument);
}

TEST(Engine, PutsZerosOutWhereNoDepthIsValid) {
  std::atomic<int> runs = 0;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              ++runs;
                              return same_depth(x);
                            }));
  Pair empty(0), far(26000);
  EXPECT_TRUE(empty.submit(engine, kA)->wait());
  EXPECT_TRUE(far.submit(engine, kA)->wait());
  EXPECT_TRUE(empty.all(0));
  EXPECT_TRUE(far.all(0));
  EXPECT_EQ(runs, 0);
}

TEST(Engine, FeedsTheSizeAndOrderAskedFor) {
  std::vector<int64_t> shape;
  std::vector<int> colour;
  const auto look = loads([&](const at::Tensor& x) {
    shape = x.sizes().vec();
    colour.clear();
    for (int c = 0; c < 3; ++c)
      colour.push_back(static_cast<int>(std::lround(x[0][c][0][0].item<float>() * 255)));
    return same_depth(x);
  });
  Options options;
  Pair pair(1000, 56, 28);
  EXPECT_TRUE(pair.submit(open_engine(options, look), kA)->wait());
  EXPECT_EQ(shape, (std::vector<int64_t>{1, 4, 28, 56}));
  EXPECT_EQ(colour, (std::vector<int>{30, 20, 10})) << "the stand-in's own order is blue first";
  options.input_size = 42;
  options.channel_order = ChannelOrder::kRgb;
  auto engine = open_engine(options, look);
  EXPECT_TRUE(pair.submit(engine, kA)->wait());
  EXPECT_EQ(shape, (std::vector<int64_t>{1, 4, 42, 84}));
  EXPECT_EQ(colour, (std::vector<int>{10, 20, 30}));
  EXPECT_EQ(info(*engine).input_size, 42u);
  shape.clear();
  warm_up(engine, kA, 56, 28);
  EXPECT_EQ(shape, (std::vector<int64_t>{1, 4, 42, 84}));
}

TEST(Engine, RefusesBadViewsAndEndlessQueues) {
  Gate gate;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              gate.pass();
                              return same_depth(x);
                            }));
  Pair pair(1000);
  auto broken = pair.depth;
  broken.stride_bytes = 1;
  EXPECT_EQ(code_of([&] { submit(engine, kA, pair.image, broken, pair.out); }), ErrorCode::kInvalidArgument);
  auto tiny = pair.image;
  tiny.width = 13;
  EXPECT_EQ(code_of([&] { submit(engine, kA, tiny, pair.depth, pair.out); }), ErrorCode::kInvalidArgument);

  std::vector<std::unique_ptr<Pending>> pending;
  pending.push_back(pair.submit(engine, kA));
  gate.wait_for_arrival();
  for (size_t i = 0; i < kMostWaiting; ++i) pending.push_back(pair.submit(engine, kA));
  EXPECT_EQ(code_of([&] { pair.submit(engine, kA); }), ErrorCode::kInvalidArgument);
  EXPECT_NO_THROW(pending.push_back(pair.submit(engine, kB))) << "the limit is each caller's own";
  for (auto& p : pending) p->cancel();
  gate.open();
}

TEST(Engine, RefusesCudaMemoryOnTheCpu) {
  auto engine = open_engine({}, loads(same_depth));
  Pair pair(1000);
  std::string text;
  auto image = pair.image;
  image.memory = Memory::kCuda;
  EXPECT_EQ(code_of([&] { submit(engine, kA, image, pair.depth, pair.out); }, &text),
            ErrorCode::kInvalidArgument);
  EXPECT_NE(text.find("colour frame is in CUDA memory, and the model runs on cpu"), std::string::npos)
      << text;
  auto out = pair.out;
  out.memory = Memory::kCuda;
  EXPECT_EQ(code_of([&] { submit(engine, kA, pair.image, pair.depth, out); }, &text),
            ErrorCode::kInvalidArgument);
  EXPECT_NE(text.find("output frame"), std::string::npos) << text;
}

TEST(Ending, TheLastHandleMayGoOnTheWorkersThread) {
  // As a camera does whose last reference hangs on a buffer in the engine.
  std::promise<void> gone;
  struct Camera {
    std::shared_ptr<Engine> engine;
    std::promise<void>* gone;
    ~Camera() {
      drain(engine, this);
      engine.reset();
      gone->set_value();
    }
  };
  Gate gate;
  auto camera = std::make_shared<Camera>();
  camera->gone = &gone;
  camera->engine = open_engine({}, loads([&](const at::Tensor& x) {
                                 gate.pass();
                                 return same_depth(x);
                               }));
  Pair pair(1000);
  pair.out.owner = camera;
  auto pending = pair.submit(camera->engine, camera.get());
  pair.out.owner = nullptr;
  camera.reset();
  gate.open();
  EXPECT_TRUE(pending->wait());
  gone.get_future().wait();
  EXPECT_TRUE(pair.all(1000));
}

TEST(Ending, PairsLeftInAClosedEngineAreCancelled) {
  Gate gate;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              gate.pass();
                              return same_depth(x);
                            }));
  Pair running(1000), waiting(2000);
  auto first = running.submit(engine, kA);
  gate.wait_for_arrival();
  auto second = waiting.submit(engine, kA);
  std::thread closer([&] { engine.reset(); });
  gate.open();
  closer.join();
  EXPECT_TRUE(first->wait());
  if (second->wait()) EXPECT_TRUE(waiting.all(2000));  // it may still have had its turn
}

TEST(Ending, DrainWaitsForTheRunningPair) {
  Gate gate;
  std::atomic<bool> finished = false;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              gate.pass();
                              finished = true;
                              return same_depth(x);
                            }));
  Pair pair(1000);
  auto pending = pair.submit(engine, kA);
  gate.wait_for_arrival();
  pending->cancel();
  auto drained = std::async(std::launch::async, [&] {
    drain(engine, kA);
    return finished.load();
  });
  gate.open();
  EXPECT_TRUE(drained.get());
}

// exit() while the network runs, in a process of its own: what was registered first runs last.
namespace at_exit {

std::shared_ptr<Engine>& engine() {
  static auto& engine = *new std::shared_ptr<Engine>;
  return engine;
}
std::atomic<bool> has_begun = false, forward_is_over = false;

void check() {
  if (!forward_is_over) _exit(3);  // torch's statics would go now
  const ErrorCode code = code_of([] { Pair(1000).submit(engine(), kA); });
  _exit(code == ErrorCode::kUnsupported ? 0 : 4);
}

void run() {
  static Gate& gate = *new Gate;
  std::atexit(check);
  engine() = open_engine({}, loads([](const at::Tensor& x) {
                           gate.pass();
                           while (!has_begun) std::this_thread::yield();
                           for (int i = 0; i < 10'000; ++i) std::this_thread::yield();
                           forward_is_over = true;
                           return same_depth(x);
                         }));
  static Pair& pair = *new Pair(1000);
  (void)pair.submit(engine(), kA).release();
  gate.wait_for_arrival();
  std::atexit([] { has_begun = true; });
  gate.open();
  std::exit(2);
}

}  // namespace at_exit

TEST(EndingDeathTest, ExitWaitsForTheForwardPassUnderWay) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";  // engines of other tests ran in this process
  EXPECT_EXIT(at_exit::run(), testing::ExitedWithCode(0), "");
}

TEST(Engine, HoldsUnderManyCallersThatCancel) {
  Options options;
  options.batch_size = 3;
  auto engine = open_engine(options, loads(same_depth));
  std::vector<std::thread> cameras;
  std::atomic<int> done = 0;
  for (int camera = 0; camera < 4; ++camera) {
    cameras.emplace_back([&, camera] {
      for (int i = 0; i < 60; ++i) {
        const auto steps = static_cast<uint16_t>(1000 * (camera + 1) + i);
        Pair pair(steps);
        pair.image.owner = std::make_shared<int>(i);
        auto pending = pair.submit(engine, &kCallers[camera]);
        if (i % 3 == camera % 3) {
          std::thread canceller([&] { pending->cancel(); });
          const auto result = pending->wait();
          canceller.join();
          drain(engine, &kCallers[camera]);  // the engine may still read a cancelled pair
          // Cancelled when it was about to be done, it may be whole.
          ASSERT_TRUE(pair.all(steps) || (!result && pair.all(Pair::kUntouched))) << "half an answer";
        } else {
          ASSERT_TRUE(pending->wait());
          ASSERT_TRUE(pair.all(steps));
        }
        ++done;
      }
    });
  }
  for (auto& camera : cameras) camera.join();
  EXPECT_EQ(done, 240);
}

}  // namespace
}  // namespace rgbd
