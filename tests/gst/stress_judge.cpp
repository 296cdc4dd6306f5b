// SPDX-License-Identifier: Apache-2.0
// See stress_judge.h.
#include "tests/gst/stress_judge.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>

#include "tests/gst/stress_camera.h"

namespace rgbd::testing {

Judge::Judge(const CameraSettings& settings, Stream& rgb, Stream& depth, Watch& watch)
    : settings_(settings), rgb_(rgb), depth_(depth), watch_(watch) {}

void Judge::fail(const std::string& what, const OutputFrame& frame) {
  auto say = [](const std::optional<Sent>& sent) {
    return sent ? std::to_string(sent->serial) + " (generation " + std::to_string(sent->generation) +
                      ", pts " + std::to_string(static_cast<int64_t>(sent->pts)) + ", running time " +
                      std::to_string(static_cast<int64_t>(sent->running_time)) + ", " +
                      std::to_string(sent->width) + "x" + std::to_string(sent->height) + ")"
                : std::string("none");
  };
  ADD_FAILURE() << what << ": " << frame.width << "x" << frame.height << " pts "
                << static_cast<int64_t>(frame.pts) << (frame.refined ? " refined" : " not refined")
                << " skew " << frame.skew << "\n  colour number " << frame.rgb_number << ": "
                << say(rgb_.find(frame.rgb_number)) << " of generation " << rgb_.generation() << ", floor "
                << rgb_.floor() << "\n  depth number " << frame.depth_number << ": "
                << say(depth_.find(frame.depth_number)) << " of generation " << depth_.generation()
                << ", floor " << depth_.floor() << "\n  before: colour " << say(last_rgb_) << ", depth "
                << say(last_depth_) << "\n"
                << watch_.report();
}

void Judge::judge_age(Stream& stream, const Sent& sent, Part part) {
  uint64_t now = stream.generation();
  if (sent.generation == now) return;
  constexpr const char* kNames[] = {"colour", "depth", "colour that is shown again"};
  EXPECT_GE(sent.generation, stream.floor()) << kNames[part] << " from before a flush of both streams";
  // The flush of one pad does not stop what has left the engine already: that is one frame.
  if (std::exchange(stale_generation_[part], now) != now) stale_count_[part] = 0;
  EXPECT_LE(++stale_count_[part], 1u) << kNames[part] << " from before a flush of its stream";
}

void Judge::frame(const OutputFrame& frame) {
  std::lock_guard lock(mutex_);
  int failures = ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
  EXPECT_FALSE(ended_) << "after the end of the stream";
  EXPECT_TRUE(frame.uniform) << "pixels of two frames";
  bool repeated = !frame.refined && frame.rgb_number;
  std::optional<Sent> depth = depth_.find(frame.depth_number), rgb, shown = rgb_.find(frame.rgb_number);
  if (frame.refined) {
    rgb = shown;
  } else {
    // Its colour frame left no number. After a seek, several have had its timestamp: which one fits?
    auto fits = [&](const Sent& sent) {
      bool timed =
          depth && !repeated && GST_CLOCK_TIME_IS_VALID(sent.pts) && GST_CLOCK_TIME_IS_VALID(depth->pts);
      return sent.width == frame.width && sent.height == frame.height &&
             (!timed || GST_CLOCK_DIFF(sent.running_time, depth->running_time) == frame.skew);
    };
    uint64_t before = last_rgb_ ? last_rgb_->serial : static_cast<uint64_t>(-1);
    rgb = rgb_.find_after(before, frame.pts);
    auto may_be = [&](const Sent& sent) { return fits(sent) && sent.generation >= rgb_.floor(); };
    for (auto other = rgb; other; other = rgb_.find_after(other->serial, frame.pts))
      if (!fits(*rgb) || (!may_be(*rgb) && may_be(*other))) rgb = other;
  }
  if (!depth || !rgb || (repeated && !shown)) return fail("a frame that nobody sent", frame);
  if (repeated) {
    EXPECT_EQ(frame.depth_number, last_refined_depth_) << "not the last refined frame again";
    EXPECT_EQ(frame.rgb_number, last_refined_rgb_) << "not the last refined frame again";
    judge_age(rgb_, *shown, kShownAgain);
  } else {
    EXPECT_TRUE(!last_depth_ || depth->serial > last_depth_->serial) << "depth out of order";
    bool timed = GST_CLOCK_TIME_IS_VALID(rgb->pts) && GST_CLOCK_TIME_IS_VALID(depth->pts);
    if (timed && !settings_.by_order) {
      int64_t tolerance = static_cast<int64_t>(settings_.varied_tolerance ? 20 * GST_MSECOND : kGrid / 2);
      int64_t skew = GST_CLOCK_DIFF(rgb->running_time, depth->running_time);
      EXPECT_LE(std::abs(skew), tolerance) << "a pair of frames that do not belong together";
      EXPECT_TRUE(frame.refined || skew == frame.skew);
    }
  }
  EXPECT_TRUE(!last_rgb_ || rgb->serial > last_rgb_->serial) << "colour out of order";
  EXPECT_EQ(frame.pts, rgb->pts);
  // At a deadline GstAggregator goes on although the new caps could not be negotiated, and frames of caps
  // that were refused may be answered by a repeated one.
  if (!settings_.live && !settings_.errors_allowed) {
    EXPECT_EQ(frame.width, rgb->width);
    EXPECT_EQ(frame.height, rgb->height);
  }
  judge_age(rgb_, *rgb, kColour);
  judge_age(depth_, *depth, kDepth);
  if (::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() != failures)
    fail("wrong output", frame);
  last_rgb_ = rgb;
  if (!repeated) last_depth_ = depth;
  if (frame.refined) {
    last_refined_rgb_ = frame.rgb_number;
    last_refined_depth_ = frame.depth_number;
  }
  bool newest =
      frame.refined && rgb->generation == rgb_.generation() && depth->generation == depth_.generation();
  fresh_ = newest ? fresh_ + 1 : 0;
  came_out_.notify_all();
}

void Judge::event(GstEvent* event) {
  std::lock_guard lock(mutex_);
  if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) {
    rgb_.flushed_through(gst_event_get_seqnum(event));
    depth_.flushed_through(gst_event_get_seqnum(event));
  }
  ended_ = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
  came_out_.notify_all();
}

void Judge::wait_for_fresh(uint64_t frames) {
  std::unique_lock lock(mutex_);
  fresh_ = 0;
  came_out_.wait(lock, [&] { return fresh_ >= frames; });
}

void Judge::wait_for_end() {
  std::unique_lock lock(mutex_);
  came_out_.wait(lock, [&] { return ended_; });
}

}  // namespace rgbd::testing
