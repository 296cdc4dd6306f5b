// SPDX-License-Identifier: Apache-2.0
// Who may interrupt the pair in the engine, and until when: Interrupt alone, without an element.
#include "gst/refine/interrupt.h"

#include <chrono>
#include <future>

#include "tests/gst/environment.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::refine::Interrupt;
using rgbd::refine::kDepth;
using rgbd::refine::kRgb;
using rgbd::testing::ends_by_itself;

TEST(Interrupt, StaysRaisedUntilTheLastOfTwoSeeksIsOver) {
  Interrupt interrupt;
  interrupt.reset();
  for (bool flushed : {false, true}) {
    SCOPED_TRACE(flushed);
    interrupt.raise(Interrupt::kSeek);
    interrupt.raise(Interrupt::kSeek);
    if (flushed) interrupt.seek_flushed();  // of the first, before its call returns
    interrupt.end_seek();
    EXPECT_TRUE(interrupt.raised_after_wait());
    if (flushed) {
      interrupt.seek_flushed();
      EXPECT_FALSE(interrupt.raised_after_wait()) << "the frames of the second one may come";
    }
    interrupt.end_seek();
    EXPECT_FALSE(interrupt.raised_after_wait());
    interrupt.seek_flushed();  // of no seek
    EXPECT_FALSE(interrupt.raised_after_wait());
  }
}

TEST(Interrupt, DoesNotWaitWhenBothPadsAreFlushedOneAfterTheOther) {
  Interrupt interrupt;
  interrupt.reset();
  interrupt.raise_flush(kRgb, 7);
  interrupt.lower(Interrupt::kRgbFlush);
  interrupt.raise_flush(kDepth, 7);  // the base class joins the task in this event
  auto release = [&] { interrupt.lower(Interrupt::kDepthFlush); };
  EXPECT_TRUE(ends_by_itself([&] { EXPECT_TRUE(interrupt.raised_after_wait()); }, release));
  release();
  EXPECT_FALSE(interrupt.raised_after_wait());
}

TEST(Interrupt, WaitsWhileOnePadAloneIsFlushed) {
  Interrupt interrupt;
  interrupt.reset();
  for (uint32_t number : {7, 8}) {
    interrupt.raise_flush(kRgb, number);
    interrupt.lower(Interrupt::kRgbFlush);
  }
  interrupt.raise_flush(kDepth, 7);
  std::future<bool> raised = std::async(std::launch::async, [&] { return interrupt.raised_after_wait(); });
  EXPECT_EQ(raised.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  interrupt.lower(Interrupt::kDepthFlush);
  EXPECT_TRUE(raised.get());
}

TEST(Interrupt, AFrameThatReachesTheHeadDuringAFlushIsFromBefore) {
  Interrupt interrupt;
  interrupt.reset();
  for (uint32_t number : {7, 8}) {
    interrupt.raise_flush(kRgb, number);
    EXPECT_NE(interrupt.flushes_before_frame(kRgb), interrupt.flushes(kRgb));
    EXPECT_EQ(interrupt.flushes_before_frame(kDepth), interrupt.flushes(kDepth));
    interrupt.lower(Interrupt::kRgbFlush);
    EXPECT_EQ(interrupt.flushes_before_frame(kRgb), interrupt.flushes(kRgb));
  }
}

}  // namespace
