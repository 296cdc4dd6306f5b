// SPDX-License-Identifier: Apache-2.0
// Property `temporal`: which frames have a common past. The stand-in's network gives the input depth back,
// and the filter is the real one: what comes out lies between two frames that have one, and is the second
// where they have none.
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::kDepthBase;
using rgbd::testing::kFrame;
using rgbd::testing::kSide;
using rgbd::testing::Output;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

constexpr int kFirst = 2000, kNext = 2004;  // near enough to be the same surface

class Temporal : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }
  void TearDown() override { fake_rgbd::release(); }

  /// Frame n, of `steps` everywhere.
  static void push(Rig& rig, int n, int steps, unsigned depth_flags = 0) {
    const GstClockTime pts = static_cast<GstClockTime>(n) * kFrame;
    rig.push_rgb(rgb_frame(200, pts));
    GstBuffer* depth = depth_frame(steps - kDepthBase, pts);
    GST_BUFFER_FLAG_SET(depth, depth_flags);
    rig.push_depth(depth);
  }
  static int steps_of(const std::optional<Output>& out) {
    EXPECT_TRUE(out) << "no frame came";
    return out ? static_cast<int>(out->steps.at(kSide * kSide / 2)) : -1;
  }
  static int through(Rig& rig, int n, int steps, unsigned depth_flags = 0) {
    push(rig, n, steps, depth_flags);
    return steps_of(rig.pull());
  }
  /// Plays, with a first frame that nothing is before.
  static void begin(Rig& rig) {
    ASSERT_TRUE(rig.play());
    ASSERT_EQ(through(rig, 0, kFirst), kFirst);
  }
  static bool blended(int steps) { return steps > kFirst && steps < kNext; }
};

TEST_F(Temporal, OffEveryFrameStandsAlone) {
  for (const char* properties : {"", "temporal=0"}) {
    Rig rig(properties);
    begin(rig);
    EXPECT_EQ(through(rig, 1, kNext), kNext);
    EXPECT_EQ(through(rig, 2, kFirst), kFirst);
  }
}

TEST_F(Temporal, OnAFrameHasThoseBeforeInIt) {
  Rig rig("temporal=0.5");
  begin(rig);
  const int first = through(rig, 1, kNext), second = through(rig, 2, kNext);
  EXPECT_TRUE(blended(first)) << first;
  EXPECT_GE(second, first);
  EXPECT_EQ(through(rig, 3, 2 * kFirst), 2 * kFirst) << "but for what has moved";
}

TEST_F(Temporal, BothByteOrdersAndTheUnitOfTheOutput) {
  Rig rig("temporal=0.5", "video/x-raw,format=GRAY16_BE,depth-unit=(double)0.0005");
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(through(rig, 0, kFirst), 2 * kFirst);
  const int steps = through(rig, 1, kNext);
  EXPECT_GT(steps, 2 * kFirst);
  EXPECT_LT(steps, 2 * kNext);
}

TEST_F(Temporal, ChangesWhilePlaying) {
  Rig rig("temporal=0");
  begin(rig);
  rig.set("temporal", "0.5");
  EXPECT_EQ(through(rig, 1, kNext), kNext) << "what went out while it was off is not its past";
  EXPECT_EQ(through(rig, 2, kNext), kNext);
  rig.set("temporal", "0");
  EXPECT_EQ(through(rig, 3, kFirst), kFirst);
  rig.set("temporal", "0.5");
  EXPECT_EQ(through(rig, 4, kFirst), kFirst) << "nor is what was before that";
  EXPECT_TRUE(blended(through(rig, 5, kNext)));
}

TEST_F(Temporal, AFlushOfBothPadsOrOfOneEndsThePast) {
  for (int which : {1, 2, 3}) {
    SCOPED_TRACE(which);
    Rig rig("temporal=0.5");
    begin(rig);
    std::vector<GstElement*> flushed;
    if (which & 1) flushed.push_back(rig.rgb());
    if (which & 2) flushed.push_back(rig.depth());
    for (GstElement* source : flushed) rig.begin_flush(source);
    for (GstElement* source : flushed) rig.end_flush(source);
    EXPECT_EQ(through(rig, 1, kNext), kNext);
  }
}

TEST_F(Temporal, ASeekEndsThePast) {
  Rig rig("temporal=0.5");
  rig.make_seekable();
  begin(rig);
  ASSERT_TRUE(rig.seek(0));
  EXPECT_EQ(through(rig, 0, kNext), kNext);
}

TEST_F(Temporal, ANewSegmentEndsThePast) {
  for (bool of_depth : {false, true}) {
    Rig rig("temporal=0.5");
    begin(rig);
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.base = 0;
    GstElement* source = of_depth ? rig.depth() : rig.rgb();
    GstPad* pad = gst_element_get_static_pad(source, "src");
    gst_pad_push_event(pad, gst_event_new_segment(&segment));
    gst_object_unref(pad);
    EXPECT_EQ(through(rig, 1, kNext), kNext) << of_depth;
  }
}

TEST_F(Temporal, FramesThatAreMissingDoNotEndThePast) {
  for (unsigned flags : {0u, static_cast<unsigned>(GST_BUFFER_FLAG_DISCONT)}) {
    Rig rig("temporal=0.5");
    begin(rig);
    EXPECT_TRUE(blended(through(rig, 40, kNext, flags)));
  }
}

TEST_F(Temporal, NewCapsEndThePast) {
  for (bool of_depth : {false, true}) {
    Rig rig("temporal=0.5");
    begin(rig);
    const std::string same = ",width=16,height=16,framerate=30/1";
    if (of_depth) rig.set_depth_caps("video/x-raw,format=GRAY16_LE,depth-unit=(double)0.001" + same);
    if (!of_depth) rig.set_rgb_caps("video/x-raw,format=BGR" + same);
    EXPECT_EQ(through(rig, 1, kNext), kNext) << of_depth;
  }
}

TEST_F(Temporal, AnotherModelEndsThePast) {
  Rig rig("temporal=1 model=fake:");
  begin(rig);
  ASSERT_EQ(through(rig, 1, kFirst), kFirst);
  rig.set("model", "fake:add=4");
  // Until the new model runs, frames are as before; then as that one makes them, at once.
  int n = 2, steps = kFirst;
  while (steps == kFirst && n < 5000) steps = through(rig, n++, kFirst);
  EXPECT_EQ(steps, kFirst + 4);
}

TEST_F(Temporal, ReadyEndsThePast) {
  Rig rig("temporal=0.5");
  begin(rig);
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  ASSERT_TRUE(rig.play());
  EXPECT_EQ(through(rig, 0, kNext), kNext);
}

TEST_F(Temporal, AFrameWithoutDepthEndsThePast) {
  Rig rig("temporal=0.5");
  begin(rig);
  EXPECT_EQ(through(rig, 1, 0), 0);
  EXPECT_EQ(through(rig, 2, kNext), kNext);
}

TEST_F(Temporal, ABadFrameDoesNot) {
  Rig rig("temporal=0.5");
  begin(rig);
  fake_rgbd::fail_next(rgbd::ErrorCode::kInvalidArgument);
  push(rig, 1, 9000);
  EXPECT_TRUE(blended(through(rig, 2, kNext)));
}

TEST_F(Temporal, RawFramesPassByAndRepeatedOnesAreWhatWentOut) {
  {
    Rig rig("temporal=0.5 inference-interval=2 skip-policy=raw");
    begin(rig);
    EXPECT_EQ(through(rig, 1, 2 * kFirst), 2 * kFirst);
    EXPECT_TRUE(blended(through(rig, 2, kNext))) << "the raw frame is not in the past";
  }
  Rig rig("temporal=0.5 inference-interval=2 skip-policy=repeat");
  begin(rig);
  EXPECT_EQ(through(rig, 1, kNext), kFirst);
  const int steps = through(rig, 2, kNext);
  EXPECT_TRUE(blended(steps)) << steps;
  EXPECT_EQ(through(rig, 3, kFirst), steps);
}

TEST_F(Temporal, TwoElementsOnOneModelHaveAPastEach) {
  Rig one("temporal=0.5 model-instance-id=x"), other("temporal=0.5 model-instance-id=x");
  begin(one);
  ASSERT_TRUE(other.play());
  EXPECT_EQ(through(other, 0, kNext), kNext);
  EXPECT_TRUE(blended(through(one, 1, kNext)));
}

}  // namespace
