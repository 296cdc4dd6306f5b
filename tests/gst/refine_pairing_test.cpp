// SPDX-License-Identifier: Apache-2.0
// Which frames become a pair: the rule by itself, then in pipelines whose frames carry numbers.
#include <algorithm>
#include <random>

#include "gst/refine/pairing.h"
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using namespace rgbd::refine;
using rgbd::testing::depth_frame;
using rgbd::testing::kFrame;
using rgbd::testing::Output;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

Head frame(uint64_t time) {
  return {true, false, false, time, time + 33};
}
Head gap(uint64_t from, uint64_t to) {
  return {true, false, true, from, to};
}
Head empty() {
  return {};
}
Head ended() {
  return {false, true};
}
const PairingRule kByTime{false, 16};
const PairingRule kByOrder{true, 0};

TEST(Decide, PairsWithinTheTolerance) {
  EXPECT_EQ(decide(frame(100), frame(100), kByTime, false), Step::kPair);
  EXPECT_EQ(decide(frame(100), frame(116), kByTime, false), Step::kPair);
  EXPECT_EQ(decide(frame(116), frame(100), kByTime, false), Step::kPair);
  EXPECT_EQ(decide(frame(100), frame(117), kByTime, false), Step::kRgbAlone);
  EXPECT_EQ(decide(frame(117), frame(100), kByTime, false), Step::kDepthAlone);
}

TEST(Decide, WaitsOnlyForWhatCanStillCome) {
  EXPECT_EQ(decide(frame(0), empty(), kByTime, false), Step::kWait);
  EXPECT_EQ(decide(empty(), frame(0), kByTime, false), Step::kWait);
  EXPECT_EQ(decide(empty(), empty(), kByTime, true), Step::kWait);
  EXPECT_EQ(decide(frame(0), empty(), kByTime, true), Step::kRgbAlone);
  EXPECT_EQ(decide(empty(), frame(0), kByTime, true), Step::kDepthAlone);
  EXPECT_EQ(decide(frame(0), ended(), kByTime, false), Step::kRgbAlone);
  EXPECT_EQ(decide(ended(), frame(0), kByTime, false), Step::kEos);
  EXPECT_EQ(decide(ended(), ended(), kByTime, false), Step::kEos);
}

TEST(Decide, GapsStandForNoData) {
  EXPECT_EQ(decide(frame(40), gap(33, 100), kByTime, false), Step::kRgbAlone);
  EXPECT_EQ(decide(frame(0), gap(33, 100), kByTime, false), Step::kRgbAlone);
  EXPECT_EQ(decide(frame(99), gap(33, 100), kByTime, false), Step::kDepthAlone)
      << "the next depth may be at 100";
  EXPECT_EQ(decide(gap(0, 33), frame(0), kByTime, false), Step::kRgbGap);
  EXPECT_EQ(decide(gap(0, 33), empty(), kByTime, false), Step::kRgbGap);
}

TEST(Decide, OrderIgnoresTimes) {
  EXPECT_EQ(decide(frame(0), frame(100000), kByOrder, false), Step::kPair);
  EXPECT_EQ(decide(frame(0), gap(100000, 200000), kByOrder, false), Step::kRgbNoDepth);
  EXPECT_EQ(decide(gap(0, 1), frame(100000), kByOrder, false), Step::kRgbGapPair);
  EXPECT_EQ(decide(frame(kNoTime), frame(100), kByTime, false), Step::kPair) << "no timestamp: by order";
  EXPECT_EQ(decide(frame(100), frame(kNoTime), kByTime, false), Step::kPair);
}

class Pairing : public ::testing::Test {
 protected:
  void SetUp() override { fake_rgbd::reset(); }
  static void expect_matching(const std::vector<Output>& frames) {
    for (const Output& frame : frames) EXPECT_EQ(frame.depth_number, frame.rgb_number);
  }
};

TEST_F(Pairing, EveryPairComesOutOnceAndInOrder) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 20; ++n) rig.push_pair(n);
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 20u);
  for (int n = 0; n < 20; ++n) {
    EXPECT_EQ(frames[n].rgb_number, n);
    EXPECT_EQ(frames[n].depth_number, n);
    EXPECT_EQ(frames[n].pts, n * kFrame);
  }
  EXPECT_EQ(rig.stat("pairs-in"), 20u);
  EXPECT_EQ(rig.stat("pairs-out"), 20u);
}

}  // namespace
