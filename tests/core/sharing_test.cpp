// SPDX-License-Identifier: Apache-2.0
// One engine for several callers, with a stand-in network: who shares what, and what runs together.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <numeric>
#include <random>
#include <thread>

#include "core/engine.h"
#include "tests/core/stand_in.h"

namespace rgbd {
namespace {

using namespace test;  // NOLINT: the whole of it

Options batches(unsigned size, uint64_t timeout_ns = 0, const std::string& instance_id = "") {
  Options options;
  options.batch_size = size;
  options.batch_timeout_ns = timeout_ns;
  options.instance_id = instance_id;
  return options;
}

/// So many cameras' handles on one engine: a batch waits only for who could submit. The callers' names do not
/// matter to it, so tests submit through the first.
std::vector<std::shared_ptr<Engine>> open_cameras(size_t count, Options options,
                                                  const NetworkLoader& loader) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  options.instance_id = std::string(test->test_suite_name()) + "." + test->name();
  std::vector<std::shared_ptr<Engine>> handles;
  while (handles.size() < count) handles.push_back(open_engine(options, loader));
  return handles;
}

TEST(Batches, HoldPairsOfOneSizeInOrder) {
  Gate gate;
  std::vector<std::vector<int>> batches;
  Options options;
  options.batch_size = 3;
  auto engine = open_engine(options, loads([&](const at::Tensor& x) {
                              batches.push_back(pairs_in(x));
                              gate.pass();
                              return same_depth(x);
                            }));
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<std::unique_ptr<Pending>> pending;
  auto submit = [&](const void* caller, int id, int width) {
    pairs.push_back(std::make_unique<Pair>(steps_of(id), width));
    pending.push_back(pairs.back()->submit(engine, caller));
  };
  submit(kA, 10, 28);
  gate.wait_for_arrival();
  submit(kB, 20, 28);
  submit(kC, 30, 56);  // another size: not with the others,
  submit(kC, 31, 28);  // and this one must not overtake it
  submit(kD, 40, 28);
  submit(kE, 50, 28);
  submit(kB, 21, 28);
  gate.open();
  for (size_t i = 0; i < pending.size(); ++i) {
    const auto result = pending[i]->wait();
    ASSERT_TRUE(result);
    EXPECT_TRUE(pairs[i]->all(pairs[i]->raw[0])) << "pair " << i << " got another's depth";
    EXPECT_EQ(result->batch, i == 0 || i == 2 ? 1u : i == 3 || i == 6 ? 2u : 3u) << i;
  }
  EXPECT_EQ(batches, (std::vector<std::vector<int>>{{10}, {20, 40, 50}, {30}, {21, 31}}));
}

TEST(Batches, WaitNoLongerThanNeeded) {
  Options options;
  options.batch_size = 2;
  options.batch_timeout_ns = kHour;
  const auto cameras = open_cameras(2, options, loads(same_depth));
  const auto& engine = cameras.front();
  Pair first(1000), second(2000), third(3000);
  auto pending_first = first.submit(engine, kA);
  auto pending_second = second.submit(engine, kB);  // fills it
  EXPECT_EQ(pending_first->wait()->batch, 2u);
  EXPECT_EQ(pending_second->wait()->batch, 2u);
  EXPECT_TRUE(first.all(1000));
  EXPECT_TRUE(second.all(2000));

  auto alone = third.submit(engine, kA);
  alone->cancel();
  EXPECT_FALSE(alone->wait());
  warm_up(engine, kA, 28, 28);  // does not wait for company either
}

TEST(Batches, WaitForNoMoreThanCouldCome) {
  auto cameras = open_cameras(2, batches(8, kHour), loads(same_depth));
  Pair first(1000), second(2000);
  auto pending = first.submit(cameras[0], kA);
  EXPECT_EQ(second.submit(cameras[1], kB)->wait()->batch, 2u);
  EXPECT_EQ(pending->wait()->batch, 2u);
  pending = first.submit(cameras[0], kA);
  cameras[1] = retired(cameras[1]);
  EXPECT_EQ(pending->wait()->batch, 1u) << "the other will submit nothing more";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first.submit(cameras[0], kA)->wait()->batch, 1u);
}

TEST(Batches, KeepNobodyElseWaiting) {
  const auto cameras = open_cameras(4, batches(2, kHour), loads(same_depth));
  const auto& engine = cameras.front();
  Pair lonely(1000), other(2000, 56), third(3000, 56);
  auto pending = lonely.submit(engine, kA);  // for an hour, as far as it knows
  warm_up(engine, kB, 28, 28);
  auto first = other.submit(engine, kB);
  EXPECT_EQ(third.submit(engine, kC)->wait()->batch, 2u) << "another size filled its batch";
  EXPECT_EQ(first->wait()->batch, 2u);
  pending->cancel();
  EXPECT_FALSE(pending->wait());
}

TEST(Batches, RunWhenTheTimeIsUp) {
  const auto cameras = open_cameras(2, batches(3, 5'000'000), loads(same_depth));
  const auto& engine = cameras.front();
  Pair a(1000), b(2000);
  auto pending = a.submit(engine, kA);
  const auto result = pending->wait();
  EXPECT_EQ(result->batch, 1u);
  EXPECT_GE(result->queue_ms, 5);
  EXPECT_TRUE(b.submit(engine, kB)->wait());
}

TEST(Batches, ThatFailAreRunPairByPair) {
  std::atomic<int> together = 0;
  const auto cameras = open_cameras(3, batches(3, kHour), loads([&](const at::Tensor& x) {
                                      if (x.size(0) > 1) ++together;
                                      for (int id : pairs_in(x)) {
                                        if (id == 20) throw Error(ErrorCode::kOutOfMemory, "too much for me");
                                      }
                                      return same_depth(x);
                                    }));
  const auto& engine = cameras.front();
  Pair a(steps_of(10)), b(steps_of(20)), c(steps_of(30));
  auto first = a.submit(engine, kA), bad = b.submit(engine, kB), last = c.submit(engine, kC);
  EXPECT_EQ(first->wait()->batch, 1u);
  EXPECT_EQ(last->wait()->batch, 1u);
  EXPECT_EQ(code_of([&] { bad->wait(); }), ErrorCode::kOutOfMemory);
  EXPECT_TRUE(a.all(steps_of(10)));
  EXPECT_TRUE(b.all(Pair::kUntouched));
  EXPECT_TRUE(c.all(steps_of(30)));
  EXPECT_EQ(together, 1);
}

TEST(Batches, LoseACancelledPairAndNothingElse) {
  Gate gate;
  std::vector<std::vector<int>> runs;
  const auto cameras = open_cameras(4, batches(3, kHour), loads([&](const at::Tensor& x) {
                                      runs.push_back(pairs_in(x));
                                      gate.pass();
                                      return same_depth(x);
                                    }));
  const auto& engine = cameras.front();
  Pair a(steps_of(10)), b(steps_of(20)), c(steps_of(30)), d(steps_of(40));
  auto early = a.submit(engine, kA);
  early->cancel();  // before the batch is full
  auto late = b.submit(engine, kB), stays = c.submit(engine, kC), fills = d.submit(engine, kD);
  gate.wait_for_arrival();
  late->cancel();  // while it runs
  EXPECT_FALSE(late->wait());
  gate.open();
  EXPECT_TRUE(stays->wait());
  EXPECT_TRUE(fills->wait());
  EXPECT_FALSE(early->wait());
  EXPECT_EQ(runs, (std::vector<std::vector<int>>{{20, 30, 40}}));
  EXPECT_TRUE(a.all(Pair::kUntouched) && b.all(Pair::kUntouched));
  EXPECT_TRUE(c.all(steps_of(30)) && d.all(steps_of(40)));
}

TEST(Turns, AFloodStarvesNobody) {
  Gate gate;
  std::vector<int> order;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              order.push_back(pairs_in(x).at(0));
                              gate.pass();
                              return same_depth(x);
                            }));
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<std::unique_ptr<Pending>> flood, slow;
  auto submit = [&](const void* caller, int id) {
    pairs.push_back(std::make_unique<Pair>(steps_of(id)));
    return pairs.back()->submit(engine, caller);
  };
  flood.push_back(submit(kA, 10));
  gate.wait_for_arrival();
  for (size_t i = 0; i < kMostWaiting; ++i) flood.push_back(submit(kA, 10));
  for (int i = 0; i < 8; ++i) {
    slow.push_back(submit(kB, 20));
    slow.push_back(submit(kC, 30));
  }
  gate.open();
  for (auto& p : slow) EXPECT_TRUE(p->wait());
  for (auto& p : flood) EXPECT_TRUE(p->wait());
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(order.at(1 + 3 * i), 10);
    EXPECT_EQ(order.at(2 + 3 * i), 20);
    EXPECT_EQ(order.at(3 + 3 * i), 30);
  }
}

TEST(Turns, ALargerFrameIsNotStarvedByFullBatches) {
  Gate gate;
  std::vector<int> order;
  const auto cameras = open_cameras(5, batches(2, kHour), loads([&](const at::Tensor& x) {
                                      order.push_back(pairs_in(x).at(0));
                                      gate.pass();
                                      return same_depth(x);
                                    }));
  const auto& engine = cameras.front();
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<std::unique_ptr<Pending>> pending;
  auto submit = [&](const void* caller, int id, int width) {
    pairs.push_back(std::make_unique<Pair>(steps_of(id), width));
    pending.push_back(pairs.back()->submit(engine, caller));
  };
  submit(kA, 10, 28);
  submit(kB, 11, 28);
  gate.wait_for_arrival();
  for (int i = 0; i < 6; ++i) submit(i % 2 ? kA : kB, 20, 28);
  submit(kC, 30, 56);
  submit(kD, 31, 56);
  gate.open();
  for (auto& p : pending) EXPECT_TRUE(p->wait());
  EXPECT_EQ(order, (std::vector<int>{10, 20, 30, 20, 20}));
}

TEST(Sharing, LoadsOneModelForEqualOptions) {
  std::atomic<int> loaded = 0;
  const NetworkLoader loader = [&](const NetworkOptions&) {
    ++loaded;
    return std::make_unique<test::StandIn>(same_depth);
  };
  Options options;
  options.instance_id = "sharing-test";
  std::vector<std::future<std::shared_ptr<Engine>>> openers;
  for (int i = 0; i < 4; ++i) {
    openers.push_back(std::async(std::launch::async, [&] { return open_engine(options, loader); }));
  }
  std::vector<std::shared_ptr<Engine>> engines;
  for (auto& opener : openers) engines.push_back(opener.get());
  EXPECT_EQ(loaded, 1);
  for (const auto& engine : engines) EXPECT_EQ(engine, engines.front());

  Options other = options;
  other.input_size = 56;
  other.optimize = false;
  std::string text;
  EXPECT_EQ(code_of([&] { open_engine(other, loader); }, &text), ErrorCode::kInvalidArgument);
  EXPECT_NE(text.find("input size 56"), std::string::npos) << text;
  EXPECT_NE(text.find("optimize false"), std::string::npos) << text;
  EXPECT_EQ(text.find("device"), std::string::npos) << text;

  Options unshared;
  EXPECT_NE(open_engine(unshared, loader), engines.front());
  EXPECT_EQ(loaded, 2);
  engines.clear();
  open_engine(other, loader);  // the last user is gone, so other options are welcome
  EXPECT_EQ(loaded, 3);
}

TEST(Sharing, WhoHasRetiredIsNotInTheWayOfOtherOptions) {
  Gate gate;
  Options options, other;
  options.instance_id = other.instance_id = "retired-test";
  other.input_size = 56;
  const auto loader = loads([&](const at::Tensor& x) {
    gate.pass();
    return same_depth(x);
  });
  auto first = open_engine(options, loader), second = open_engine(options, loader);
  Pair pair(1000), next(2000);
  auto pending = pair.submit(first, kA);
  gate.wait_for_arrival();
  auto open_other = [&] { return open_engine(other, loads(same_depth)); };
  first = retired(first);
  EXPECT_EQ(code_of(open_other), ErrorCode::kInvalidArgument) << "the second one uses it";
  second = retired(second);
  auto replaced = open_other();  // while the pair is in the network
  EXPECT_NE(replaced, first);
  EXPECT_EQ(info(*replaced).input_size, 56u);
  EXPECT_TRUE(next.submit(replaced, kB)->wait());
  EXPECT_EQ(code_of([&] { open_engine(options, loader); }), ErrorCode::kInvalidArgument);
  gate.open();
  EXPECT_TRUE(pending->wait());
  EXPECT_TRUE(pair.all(1000));
}

TEST(Sharing, TheLargestBatchHoldsAsLongAsSomebodyWantsIt) {
  auto first = open_engine(batches(1, 0, "batch-test"), loads(same_depth));
  auto second = open_engine(batches(2, kHour, "batch-test"), loads(same_depth));
  EXPECT_EQ(first, second);
  Pair a(1000), b(2000), c(3000);
  auto pending = a.submit(first, kA);
  EXPECT_EQ(b.submit(second, kB)->wait()->batch, 2u);
  EXPECT_EQ(pending->wait()->batch, 2u);
  auto alone = c.submit(first, kA);  // waits for an hour…
  drain(second, kB);
  second.reset();  // … that only this one had asked for
  EXPECT_EQ(alone->wait()->batch, 1u);
}

TEST(Sharing, EachFileHasItsOwnModelUnderOneId) {
  const auto folder = std::filesystem::temp_directory_path() / ("rgbd-sharing-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  auto write = [](const std::filesystem::path& path, const char* text) { std::ofstream(path) << text; };
  write(folder / "a", "a");
  write(folder / "b", "b");
  std::filesystem::create_symlink(folder / "a", folder / "also-a");
  auto open = [&](const char* name) {
    Options options;
    options.instance_id = "files-test";
    options.model = (folder / name).string();
    return open_engine(options, loads(same_depth));
  };
  auto a = open("a"), b = open("b"), again = open("also-a");
  EXPECT_NE(a, b) << "so that a shared model can be exchanged while it runs";
  EXPECT_EQ(a, again) << "the same file by another name";
  write(folder / "new", "another model");
  std::filesystem::rename(folder / "new", folder / "a");
  EXPECT_NE(open("a"), a) << "the file was written anew";
  EXPECT_EQ(open("b"), b);
  std::filesystem::remove_all(folder);
}

TEST(Sharing, AFailedLoadIsNobodyElses) {
  Options options;
  options.instance_id = "failed-load-test";
  EXPECT_EQ(code_of([&] {
              open_engine(options, [](const NetworkOptions&) -> std::unique_ptr<Network> {
                throw Error(ErrorCode::kBadCheckpoint, "no");
              });
            }),
            ErrorCode::kBadCheckpoint);
  EXPECT_TRUE(open_engine(options, loads(same_depth)));
}

TEST(Sharing, AModelLostWithItsDeviceIsLostForAllAndLoadedAnew) {
  std::atomic<int> runs = 0;
  Options options;
  options.instance_id = "lost-test";
  auto first = open_engine(options, loads([&](const at::Tensor&) -> at::Tensor {
                             ++runs;
                             throw Error(ErrorCode::kDevice, "it fell off the bus");
                           }));
  auto second = open_engine(options, loads(same_depth));
  ASSERT_EQ(first, second);
  Pair pair(1000);
  for (const auto& engine : {first, second, first}) {
    std::string text;
    EXPECT_EQ(code_of([&] { pair.submit(engine, kA)->wait(); }, &text), ErrorCode::kDevice);
    EXPECT_EQ(text.find("it fell off the bus (the model is lost"), 0u) << text;
  }
  EXPECT_EQ(runs, 1) << "nothing is asked of a lost device";
  EXPECT_TRUE(pair.all(Pair::kUntouched));
  auto anew = open_engine(options, loads(same_depth));  // while the others still hold the lost one
  EXPECT_NE(anew, first);
  EXPECT_EQ(open_engine(options, loads(same_depth)), anew);
  EXPECT_TRUE(pair.submit(anew, kA)->wait());
  EXPECT_TRUE(pair.all(1000));
}

TEST(Sharing, ALostDeviceIsAskedOnceForAWholeBatch) {
  std::atomic<int> runs = 0;
  const auto cameras = open_cameras(3, batches(3, kHour), loads([&](const at::Tensor&) -> at::Tensor {
                                      ++runs;
                                      throw Error(ErrorCode::kDevice, "gone");
                                    }));
  Pair a(1000), b(2000), c(3000);
  std::vector<std::unique_ptr<Pending>> pending;
  for (Pair* pair : {&a, &b, &c}) pending.push_back(pair->submit(cameras.front(), kA));
  for (const auto& p : pending) {
    std::string text;
    EXPECT_EQ(code_of([&] { p->wait(); }, &text), ErrorCode::kDevice);
    EXPECT_EQ(text.find("gone (the model is lost"), 0u) << text;
  }
  EXPECT_EQ(runs, 1);
}

TEST(Sharing, OtherErrorsLoseNothing) {
  std::atomic<bool> full = true;
  auto engine = open_engine({}, loads([&](const at::Tensor& x) {
                              if (full) throw Error(ErrorCode::kOutOfMemory, "no room");
                              return same_depth(x);
                            }));
  Pair pair(1000);
  EXPECT_EQ(code_of([&] { pair.submit(engine, kA)->wait(); }), ErrorCode::kOutOfMemory);
  full = false;
  EXPECT_TRUE(pair.submit(engine, kA)->wait());
}

TEST(Sharing, HoldsWhileCallersComeAndGo) {
  // Eight cameras, each of which opens, refines, cancels and leaves in an order that follows from a seed.
  std::atomic<int> loaded = 0, open_networks = 0;
  struct Counted : StandIn {
    explicit Counted(std::atomic<int>& count) : StandIn(same_depth), count_(count) { ++count_; }
    ~Counted() override { --count_; }
    std::atomic<int>& count_;
  };
  const NetworkLoader loader = [&](const NetworkOptions&) {
    ++loaded;
    return std::make_unique<Counted>(open_networks);
  };
  auto stays = open_engine(batches(1, 0, "come-and-go"), loader);
  std::vector<std::thread> cameras;
  for (unsigned camera = 0; camera < 8; ++camera) {
    cameras.emplace_back([&, camera] {
      std::mt19937 random(camera);
      for (int life = 0; life < 10; ++life) {
        char self;
        auto engine = open_engine(batches(1 + random() % 4, random() % 3 * 1'000'000, "come-and-go"), loader);
        if (random() % 2) warm_up(engine, &self, 28, 28);
        for (unsigned frame = 0; frame < random() % 6; ++frame) {
          const auto steps = static_cast<uint16_t>(1000 * (camera + 1) + frame);
          Pair pair(steps, random() % 4 ? 28 : 56);
          auto pending = pair.submit(engine, &self);
          if (random() % 4 == 0) {
            pending->cancel();
            pending->wait();
            drain(engine, &self);  // which may still read it
            continue;
          }
          ASSERT_TRUE(pending->wait());
          ASSERT_TRUE(pair.all(steps));
        }
        drain(engine, &self);
      }
    });
  }
  for (auto& camera : cameras) camera.join();
  EXPECT_EQ(loaded, 1);
  stays.reset();
  EXPECT_EQ(open_networks, 0);
}

}  // namespace
}  // namespace rgbd
