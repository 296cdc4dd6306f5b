// SPDX-License-Identifier: Apache-2.0
// Ends, flushes, seeks and state changes, each also while a pair is in the engine.
#include <chrono>
#include <cstdlib>
#include <future>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::ends_by_itself;
using rgbd::testing::frame_of;
using rgbd::testing::kFrame;
using rgbd::testing::Output;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

class Flush : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fake_rgbd::reset()); }
  void TearDown() override { fake_rgbd::release(); }

  /// Pair 0 in an engine that does not let go of it, not even when it is cancelled.
  static void fill_engine(Rig& rig, void (*hold)() = fake_rgbd::hold_stubbornly) {
    hold();
    ASSERT_TRUE(rig.play());
    rig.push_pair(0);
    ASSERT_TRUE(fake_rgbd::wait_until_busy());
  }
  static void expect_one(Rig& rig, int n) {
    auto frame = rig.pull();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->rgb_number, n);
    EXPECT_EQ(frame->depth_number, n);
  }
};

TEST_F(Flush, TheEndOfTheStreamDrains) {
  Rig rig("model=fake:delay=2");
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 50; ++n) rig.push_pair(n);
  rig.end();
  EXPECT_EQ(rig.pull_all().size(), 50u);
  EXPECT_EQ(rig.stat("refined"), 50u);
}

TEST_F(Flush, TheEndOfTheStreamWaitsForThePairInTheEngine) {
  Rig rig;
  fill_engine(rig);
  rig.end();
  EXPECT_TRUE(rig.nothing_for(50));
  EXPECT_FALSE(gst_app_sink_is_eos(GST_APP_SINK(rig.sink())));
  fake_rgbd::release();
  EXPECT_EQ(rig.pull_all().size(), 1u);
}

TEST_F(Flush, AFlushOfOnePadCancelsThePairAtOnce) {
  for (bool of_rgb : {true, false}) {
    SCOPED_TRACE(of_rgb ? "rgb" : "depth");
    ASSERT_TRUE(fake_rgbd::reset());
    Rig rig;
    fill_engine(rig);
    GstElement* source = of_rgb ? rig.rgb() : rig.depth();
    EXPECT_TRUE(ends_by_itself([&] { rig.begin_flush(source); }, fake_rgbd::release));
    EXPECT_TRUE(fake_rgbd::wait_until_cancelled());
    EXPECT_TRUE(ends_by_itself([&] { rig.end_flush(source); }, fake_rgbd::release));
    fake_rgbd::release();
    rig.push_pair(1);
    rig.end();
    std::vector<Output> frames = rig.pull_all();
    ASSERT_EQ(frames.size(), 1u) << "the element lives, and nothing from before the flush comes out";
    EXPECT_EQ(frames[0].rgb_number, 1);
    EXPECT_EQ(rig.stat("dropped-flushed"), 1u);
  }
}

TEST_F(Flush, AFlushDropsWhatWaitsOnThatPadAlone) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  rig.push_rgb(rgb_frame(1, kFrame));
  rig.begin_flush(rig.depth());
  rig.end_flush(rig.depth());
  rig.push_depth(depth_frame(1, kFrame));
  expect_one(rig, 1);
}

TEST_F(Flush, AFlushForgetsTheFrameToRepeat) {
  Rig rig("skip-policy=repeat");
  rig.make_seekable();
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  ASSERT_TRUE(rig.seek(0));
  rig.push_rgb(rgb_frame(1, kFrame));
  rig.push_gap(rig.depth(), kFrame, kFrame);
  rig.push_pair(2);
  expect_one(rig, 2);
}

TEST_F(Flush, AFlushOfOnePadForgetsTheFrameToRepeatToo) {
  for (bool of_rgb : {true, false}) {
    SCOPED_TRACE(of_rgb ? "rgb" : "depth");
    Rig rig("skip-policy=repeat");
    ASSERT_TRUE(rig.play());
    rig.push_pair(0);
    expect_one(rig, 0);
    rig.begin_flush(of_rgb ? rig.rgb() : rig.depth());
    rig.end_flush(of_rgb ? rig.rgb() : rig.depth());
    rig.push_rgb(rgb_frame(1, kFrame));
    rig.push_gap(rig.depth(), kFrame, kFrame);
    rig.push_pair(2);
    expect_one(rig, 2);
  }
}

TEST_F(Flush, WhatIsRepeatedIsTheLastRefinedFrame) {
  Rig rig("skip-policy=repeat");
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  rig.set("skip-policy", "drop");
  rig.push_pair(1);
  expect_one(rig, 1);
  rig.set("skip-policy", "repeat");
  rig.push_rgb(rgb_frame(2, 2 * kFrame));
  rig.push_gap(rig.depth(), 2 * kFrame, kFrame);
  rig.push_pair(3);
  expect_one(rig, 3);  // and not frame 0 before it
}

TEST_F(Flush, AFlushingSeekCancelsThePairAtOnce) {
  Rig rig;
  rig.make_seekable();
  fill_engine(rig);
  bool done = false;
  EXPECT_TRUE(ends_by_itself([&] { done = rig.seek(0); }, fake_rgbd::release));
  EXPECT_TRUE(done);
  fake_rgbd::release();
  for (int n = 3; n < 6; ++n) rig.push_pair(n);
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].rgb_number, 3);
  EXPECT_EQ(rig.stat("dropped-flushed"), 1u);
}

TEST_F(Flush, TheSameSeekOfASecondSinkDoesNotCancelTheFrameOfTheFirst) {
  Rig rig;
  rig.make_seekable();
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
  GstEvent* seek = gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                                      GST_SEEK_TYPE_NONE, -1);
  ASSERT_TRUE(gst_element_send_event(rig.pipeline(), gst_event_ref(seek)));
  fake_rgbd::hold();
  rig.push_pair(1);
  ASSERT_TRUE(fake_rgbd::wait_until_waited_for());
  EXPECT_TRUE(gst_pad_send_event(src, seek)) << "it is done already";
  fake_rgbd::release();
  expect_one(rig, 1);
  EXPECT_EQ(rig.stat("dropped-flushed"), 0u);
  gst_object_unref(src);
}

TEST_F(Flush, ItsEndDoesNotStartTheTaskOfAnElementThatStops) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  GstEvent* events[] = {gst_event_new_flush_start(), gst_event_new_flush_stop(TRUE)};
  GstPad* src = gst_element_get_static_pad(rig.refine(), "src");
  for (GstEvent* event : events) {
    gst_event_set_seqnum(event, 7);
    for (const char* name : {"rgb", "depth"}) {
      GstPad* pad = gst_element_get_static_pad(rig.refine(), name);
      gst_pad_send_event(pad, gst_event_ref(event));
      gst_object_unref(pad);
    }
    gst_event_unref(event);
    gst_pad_set_active(src, FALSE);  // as on the way to READY, before the second of the events
  }
  EXPECT_NE(gst_pad_get_task_state(src), GST_TASK_STARTED);
  gst_object_unref(src);
  EXPECT_TRUE(ends_by_itself([&] { rig.set_state(GST_STATE_READY); }, [] { std::abort(); }));
  ASSERT_TRUE(rig.play());
  rig.push_pair(1);
  expect_one(rig, 1);
}

TEST_F(Flush, OneThatTheWayToReadyCutsShortHarmsNoLaterStart) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  GstEvent* start = gst_event_new_flush_start();
  for (const char* name : {"rgb", "depth"}) {
    GstPad* pad = gst_element_get_static_pad(rig.refine(), name);
    gst_pad_send_event(pad, gst_event_ref(start));
    gst_object_unref(pad);
  }
  gst_event_unref(start);
  EXPECT_TRUE(ends_by_itself([&] { rig.set_state(GST_STATE_READY); }, [] { std::abort(); }));
  ASSERT_TRUE(rig.play());
  rig.push_pair(1);
  expect_one(rig, 1);
}

TEST_F(Flush, CapsThatTheEndOfTheOtherStreamThrewAwayAreUsedAfterIt) {
  static constexpr char kOtherCaps[] = "video/x-raw,format=GRAY16_BE,width=16,height=16,framerate=30/1";
  Rig rig;
  rig.make_seekable();
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  // They wait behind a frame when the other stream ends.
  GstPad* depth = gst_element_get_static_pad(rig.refine(), "depth");
  GstCaps* caps = gst_caps_from_string(kOtherCaps);
  EXPECT_EQ(gst_pad_chain(depth, depth_frame(1, kFrame)), GST_FLOW_OK);
  EXPECT_TRUE(gst_pad_send_event(depth, gst_event_new_caps(caps)));
  gst_caps_unref(caps);
  gst_object_unref(depth);
  gst_app_src_end_of_stream(GST_APP_SRC(rig.rgb()));
  EXPECT_TRUE(rig.pull_all().empty());
  ASSERT_TRUE(rig.seek(0));
  rig.push_rgb(rgb_frame(5, 5 * kFrame));
  rig.push_depth(frame_of(kOtherCaps, 5));
  auto frame = rig.pull();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->depth_number, 5);
}

TEST_F(Flush, ManySeeksInARow) {
  Rig rig("model=fake:delay=1");
  rig.make_seekable();
  ASSERT_TRUE(rig.play());
  for (int i = 1; i <= 50; ++i) {
    for (int n = 0; n < 3; ++n) rig.push_pair(n);
    if (i % 3 == 0) {
      ASSERT_TRUE(rig.pull());
    }
    ASSERT_TRUE(rig.seek(0)) << i;
  }
  rig.push_pair(7);
  rig.end();
  std::vector<Output> frames = rig.pull_all();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].rgb_number, 7);
}

TEST_F(Flush, ASeekAfterTheEndStartsAgain) {
  Rig rig;
  rig.make_seekable();
  ASSERT_TRUE(rig.play());
  for (int round = 0; round < 3; ++round) {
    rig.push_pair(0);
    rig.push_pair(1);
    rig.end();
    EXPECT_EQ(rig.pull_all().size(), 2u) << round;
    ASSERT_TRUE(rig.seek(0));
  }
}

TEST_F(Flush, ASeekThatNeitherSourceCanDoIsRefusedAndHarmsNothing) {
  Rig rig;
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  EXPECT_FALSE(rig.seek(0));
  GstQuery* query = gst_query_new_seeking(GST_FORMAT_TIME);
  gboolean seekable = TRUE;
  if (gst_element_query(rig.pipeline(), query))
    gst_query_parse_seeking(query, nullptr, &seekable, nullptr, nullptr);
  EXPECT_FALSE(seekable);
  gst_query_unref(query);
  rig.push_pair(1);
  expect_one(rig, 1);
}

TEST_F(Flush, ASeekThatOneSourceCannotDoIsRefusedToo) {
  for (bool rgb_can : {true, false}) {
    SCOPED_TRACE(rgb_can);
    Rig rig;
    rig.make_seekable();
    gst_app_src_set_stream_type(GST_APP_SRC(rgb_can ? rig.depth() : rig.rgb()), GST_APP_STREAM_TYPE_STREAM);
    ASSERT_TRUE(rig.play());
    rig.push_pair(0);
    expect_one(rig, 0);
    EXPECT_FALSE(rig.seek(0));
    rig.push_pair(1);
    expect_one(rig, 1);
  }
}

TEST_F(Flush, SeekableIsSaidWhenBothSourcesAre) {
  Rig rig;
  rig.make_seekable();
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  expect_one(rig, 0);
  GstQuery* query = gst_query_new_seeking(GST_FORMAT_TIME);
  gboolean seekable = FALSE;
  ASSERT_TRUE(gst_element_query(rig.pipeline(), query));
  gst_query_parse_seeking(query, nullptr, &seekable, nullptr, nullptr);
  EXPECT_TRUE(seekable);
  gst_query_unref(query);
}

TEST_F(Flush, PausedKeepsThePairThatIsInTheEngine) {
  Rig rig;
  fill_engine(rig);
  EXPECT_TRUE(ends_by_itself([&] { rig.set_state(GST_STATE_PAUSED); }, fake_rgbd::release));
  fake_rgbd::release();
  ASSERT_TRUE(rig.play());
  expect_one(rig, 0);
  EXPECT_EQ(rig.stat("dropped-flushed"), 0u);
}

TEST_F(Flush, ReadyAndNullCancelThePairAtOnce) {
  for (GstState state : {GST_STATE_READY, GST_STATE_NULL}) {
    SCOPED_TRACE(gst_element_state_get_name(state));
    ASSERT_TRUE(fake_rgbd::reset());
    Rig rig;
    fill_engine(rig);  // which works on although it is told to stop
    EXPECT_TRUE(ends_by_itself([&] { rig.set_state(state); }, fake_rgbd::release));
    EXPECT_TRUE(fake_rgbd::wait_until_models_open(1));
    fake_rgbd::release();
    EXPECT_TRUE(fake_rgbd::wait_until_models_open(0));
    ASSERT_TRUE(rig.play());
    rig.push_pair(1);
    expect_one(rig, 1);
  }
}

TEST_F(Flush, AnElementThatIsGoneLeavesTheEngineItsMemory) {
  {
    Rig rig;
    fill_engine(rig);
  }
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(1)) << "its pair is still worked on";
  fake_rgbd::release();
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(0));
}

TEST_F(Flush, AnExchangedModelIsNotWaitedForByTheNextFrame) {
  Rig rig;
  rig.make_seekable();
  fill_engine(rig);
  ASSERT_TRUE(rig.seek(0));
  // The pair of before the seek is still in the old model, which is left for the new one. Frames without any
  // depth need no engine.
  rig.set("model", "fake:add=1");
  int updated = 0;
  for (int n = 1; n < 5000 && !updated; ++n) {
    rig.push_rgb(rgb_frame(n, static_cast<GstClockTime>(n) * kFrame));
    rig.push_depth(depth_frame(-rgbd::testing::kDepthBase, static_cast<GstClockTime>(n) * kFrame));
    bool came = rig.pull().has_value();
    EXPECT_TRUE(came) << n;
    if (!came) break;
    updated = rig.count_now(GST_MESSAGE_ELEMENT);
  }
  EXPECT_EQ(updated, 1);
  fake_rgbd::release();
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(1));
}

TEST_F(Flush, StatesUpAndDownManyTimes) {
  Rig rig("model=fake:delay=1");
  for (int i = 0; i < 30; ++i) {
    SCOPED_TRACE(i);
    ASSERT_TRUE(rig.play());
    for (int n = 0; n < 3; ++n) rig.push_pair(n);
    if (i % 3 == 0) {
      ASSERT_TRUE(rig.pull());
    }
    ASSERT_TRUE(rig.set_state(i % 4 == 3 ? GST_STATE_NULL : i % 4 == 2 ? GST_STATE_READY : GST_STATE_PAUSED));
  }
  ASSERT_TRUE(rig.set_state(GST_STATE_NULL));
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(0));
}

}  // namespace
