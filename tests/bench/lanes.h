// SPDX-License-Identifier: Apache-2.0
// Cameras made of prepared frames, each with a refining element of its own, in one pipeline. Nothing is
// rendered or copied on the way: every buffer points to one of a few frames' memory.
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace rgbd::bench {

struct Unref {
  void operator()(GstElement* element) const { gst_object_unref(element); }
  void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
  void operator()(GstContext* context) const { gst_context_unref(context); }
};
template <class T>
using Owned = std::unique_ptr<T, Unref>;

/// A camera's frames, used again and again. Read only.
struct Frames {
  Owned<GstCaps> rgb_caps, depth_caps;
  std::vector<Owned<GstBuffer>> rgb, depth;  // as many of one as of the other
};

/// Random frames in system memory. `format`: of the colour, any that rgbdrefine takes.
Frames make_frames(const std::string& format, int width, int height, int fps);

/// The colour goes to CUDA memory once, through cudaupload, in the context that `lane_pad` (a sink pad of
/// rgbdrefine) or `pipeline` tells of. Returns whether it told of one; else the memory is in a context of
/// cudaupload's own. Throws std::runtime_error where there is no cudaupload or it fails.
bool upload(Frames& frames, GstElement* pipeline, GstPad* lane_pad);

struct LaneOptions {
  int lanes = 1;
  bool live = false;  // frames at their time, and sinks that keep time; else as fast as they are taken
  int fps = 30;
  std::string model;       // empty: the embedded one
  std::string properties;  // of every rgbdrefine, as gst-launch-1.0 takes them
};

struct LaneCounts {
  uint64_t out = 0;      // frames that came out of the element
  uint64_t dropped = 0;  // by the element, for any reason
  uint64_t late = 0;     // thrown away by the sink
};

class Lanes {
 public:
  using Clock = std::chrono::steady_clock;

  /// Throws std::runtime_error, as everything here, with what the pipeline says.
  explicit Lanes(const LaneOptions& options);
  ~Lanes();
  Lanes(const Lanes&) = delete;

  GstElement* pipeline() const { return pipeline_.get(); }
  /// The rgb pad of the first element; borrowed.
  GstPad* rgb_pad() const;
  /// The statistics of the first element, to be freed.
  GstStructure* stats() const;

  /// To PAUSED, so that models are loaded, warm for frames of this size, and contexts known.
  void pause(const Frames& frames);
  /// To PLAYING, and frames begin to flow. `frames` must outlive this.
  void play(const Frames& frames);
  /// Looks after the bus until so many frames have come out of all elements together.
  void run_until(uint64_t count);
  void run_for(std::chrono::milliseconds time);
  /// When frame number `count` (from 1) came out; run_until() must have got there.
  Clock::time_point time_of(uint64_t count) const;
  std::vector<LaneCounts> counts() const;

 private:
  struct Lane;
  static GstPadProbeReturn on_frame(GstPad* pad, GstPadProbeInfo* info, gpointer lane);
  void set_caps(const Frames& frames);
  void change_state(GstState state);
  void watch(GstClockTime wait);
  void feed(Lane& lane, const Frames& frames);

  const LaneOptions options_;
  Owned<GstElement> pipeline_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  mutable std::mutex mutex_;
  std::vector<Clock::time_point> times_;  // of all frames that came out
  std::atomic<bool> stop_{false};
};

}  // namespace rgbd::bench
