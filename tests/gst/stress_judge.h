// SPDX-License-Identifier: Apache-2.0
// What may come out of rgbdrefine, of what the two streams sent: the right pairs, in order, with their own
// timestamps and sizes, and nothing from before a flush.
#pragma once

#include <gst/gst.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "tests/gst/stress_stream.h"
#include "tests/gst/stress_watch.h"

namespace rgbd::testing {

struct CameraSettings;

/// A frame that came out, with the numbers that the stand-in for the core has put into its pixels.
struct OutputFrame {
  unsigned depth_number, rgb_number;  // rgb_number: 0 in raw depth
  bool uniform;                       // but for the two pixels of the colour number
  bool refined;
  int64_t skew;  // ns, of a frame that was not refined
  GstClockTime pts;
  int width, height;
};

/// Any thread. Fails the test at what must not come out. All that it is given must outlive it.
class Judge {
 public:
  Judge(const CameraSettings& settings, Stream& rgb, Stream& depth, Watch& watch);
  Judge(const Judge&) = delete;

  void frame(const OutputFrame& frame);
  void event(GstEvent* event);

  /// For refined pairs, in a row and from now on, of frames sent after the last flush.
  void wait_for_fresh(uint64_t frames);
  void wait_for_end();

 private:
  // Under mutex_.
  enum Part { kColour, kDepth, kShownAgain };
  void judge_age(Stream& stream, const Sent& sent, Part part);
  void fail(const std::string& what, const OutputFrame& frame);

  const CameraSettings& settings_;
  Stream &rgb_, &depth_;
  Watch& watch_;

  std::mutex mutex_;
  std::condition_variable came_out_;
  // Of what came out last. Reset by nothing: serials only grow.
  std::optional<Sent> last_rgb_, last_depth_;
  unsigned last_refined_rgb_ = 0, last_refined_depth_ = 0;
  std::array<uint64_t, 3> stale_generation_{}, stale_count_{};  // by Part
  bool ended_ = false;
  uint64_t fresh_ = 0;  // refined frames of the newest generations, in a row
};

}  // namespace rgbd::testing
