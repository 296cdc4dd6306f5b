// SPDX-License-Identifier: Apache-2.0
// One pipeline of the stress test: two streams, rgbdrefine and a sink. What comes out goes to a Judge.
#pragma once

#include <gst/video/video.h>

#include <mutex>
#include <optional>
#include <string>

#include "tests/gst/stress_judge.h"
#include "tests/gst/stress_stream.h"
#include "tests/gst/stress_watch.h"

namespace rgbd::testing {

struct CameraSettings {
  bool live = false;
  bool by_order = false;          // sync-mode
  bool varied_tolerance = false;  // pts-tolerance and framerates change
  bool errors_allowed = false;    // the test provokes errors
  std::string instance_id;
  std::string sink = "fakesink sync=false";

  bool prerolls() const { return sink.find("async=false") == std::string::npos; }
};

class Camera {
 public:
  Camera(const CameraSettings& settings, uint64_t seed, Watch& watch);
  ~Camera();
  Camera(const Camera&) = delete;

  const CameraSettings& settings() const { return settings_; }
  GstElement* pipeline() { return pipeline_; }
  GstElement* refine() { return refine_; }
  Stream& stream(Stream::Kind kind) { return kind == Stream::kRgb ? rgb_ : depth_; }

  /// Flushes and seeks of one camera come one after the other, as those of a demuxer do. Each takes its turn
  /// by itself; whoever takes it first keeps the others out until it is let go.
  std::unique_lock<std::recursive_mutex> flush_turn() { return std::unique_lock(flush_mutex_); }
  void flush(Stream::Kind kind);
  void flush_both(bool one_after_the_other);
  bool seek(GstClockTime to, bool twice);
  bool set_state(GstState state);
  void set(const char* property, const std::string& value);

  /// After the storm: what goes in now must come out, and then end.
  void settle();

 private:
  static GstPadProbeReturn on_output(GstPad* pad, GstPadProbeInfo* info, gpointer camera);
  static GstBusSyncReply on_message(GstBus*, GstMessage* message, gpointer camera);
  std::optional<OutputFrame> read(GstPad* pad, GstBuffer* buffer);

  const CameraSettings settings_;
  Watch& watch_;
  Stream rgb_, depth_;
  Judge judge_;
  GstElement *pipeline_, *refine_;
  GstPad* src_;
  std::recursive_mutex flush_mutex_;
};

}  // namespace rgbd::testing
