// SPDX-License-Identifier: Apache-2.0
// rgbdrefine between two appsrc and an appsink, fed with frames that carry their number in their pixels.
#pragma once

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace rgbd::testing {

inline constexpr GstClockTime kFrame = GST_SECOND / 30;
inline constexpr int kSide = 16;
/// Depth of frame n is kDepthBase + n steps everywhere.
inline constexpr int kDepthBase = 1000;
inline constexpr char kRgbCaps[] = "video/x-raw,format=RGB,width=16,height=16,framerate=30/1";
inline constexpr char kDepthCaps[] = "video/x-raw,format=GRAY16_LE,width=16,height=16,framerate=30/1";

/// Caps of frames at 30 a second.
std::string raw_caps(const std::string& format, int width, int height);
/// A colour frame whose every byte is n. `pts` may be GST_CLOCK_TIME_NONE.
GstBuffer* rgb_frame(int n, GstClockTime pts, GstClockTime duration = kFrame);
GstBuffer* depth_frame(int n, GstClockTime pts, GstClockTime duration = kFrame);
/// Frame n of caps in system memory, at n frames: colour bytes are n, depth is kDepthBase + n steps.
GstBuffer* frame_of(const std::string& caps, int n);

/// While it lives, a critical, which is misuse of a library by the element, ends the program.
class FatalCriticals {
 public:
  FatalCriticals()
      : previous_(
            g_log_set_always_fatal(static_cast<GLogLevelFlags>(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL))) {}
  ~FatalCriticals() { g_log_set_always_fatal(previous_); }
  FatalCriticals(const FatalCriticals&) = delete;

 private:
  GLogLevelFlags previous_;
};

/// Whether `body` ends within ten seconds; if not, lets it go on by release() and waits for its end.
bool ends_by_itself(const std::function<void()>& body, const std::function<void()>& release);

/// One frame that came out.
struct Output {
  int depth_number = 0;  // of the depth frame in it
  int rgb_number = 0;    // of the colour frame in it; -1: not refined
  GstClockTime pts = GST_CLOCK_TIME_NONE;
  int64_t skew = 0;  // of frames that were not refined
  std::vector<unsigned> steps;
  int width = 0, height = 0;
  std::string caps;
};

class Rig {
 public:
  /// `properties` of rgbdrefine as in gst-launch; `downstream` stands between it and the sink.
  explicit Rig(const std::string& properties = "", const std::string& downstream = "", bool live = false);
  ~Rig();
  Rig(const Rig&) = delete;

  GstElement* pipeline() { return pipeline_; }
  GstElement* refine() { return refine_; }
  GstElement* rgb() { return rgb_; }
  GstElement* depth() { return depth_; }
  GstElement* sink() { return sink_; }

  /// Does not wait. False: refused.
  bool play() { return set_state(GST_STATE_PLAYING); }
  bool set_state(GstState state);

  void push_rgb(GstBuffer* buffer) { gst_app_src_push_buffer(GST_APP_SRC(rgb_), buffer); }
  void push_depth(GstBuffer* buffer) { gst_app_src_push_buffer(GST_APP_SRC(depth_), buffer); }
  /// Frame n of both, at n frames.
  void push_pair(int n);
  void set_rgb_caps(const std::string& caps) { set_caps(rgb_, caps); }
  void set_depth_caps(const std::string& caps) { set_caps(depth_, caps); }
  /// Sources that can seek: a seek starts them anew; push again then. Call before play().
  void make_seekable();
  bool seek(GstClockTime to, GstSeekFlags flags = GST_SEEK_FLAG_FLUSH);
  /// The two halves of a flush of one pad. end_flush() also begins a new segment.
  void begin_flush(GstElement* source, guint32 number = 0);
  void end_flush(GstElement* source, guint32 number = 0);
  /// A flush of both pads, as a seek's: the element's task has stopped in it, and has nothing in the engine.
  void flush_both();
  void push_gap(GstElement* source, GstClockTime pts, GstClockTime duration);
  void end();

  /// Waits for the next frame; nothing: end of stream, or none in a minute.
  std::optional<Output> pull();
  /// Everything until the end of the stream.
  std::vector<Output> pull_all();
  /// True when no frame comes within `ms`: only for what must not happen.
  bool nothing_for(int ms);

  /// Waits for a message of these types from the bus; null after a minute. Transfer full.
  GstMessage* message(GstMessageType types);
  /// Text of the next error or warning, with its debug part left out; empty if none comes.
  std::string error_text() { return text_of(GST_MESSAGE_ERROR); }
  std::string warning_text() { return text_of(GST_MESSAGE_WARNING); }
  /// Text and "domain/code" of the next error.
  std::string error_kind();
  /// Warnings and element messages that are on the bus now.
  int count_now(GstMessageType types);

  uint64_t stat(const char* name);
  void set(const char* property, const std::string& value) {
    gst_util_set_object_arg(G_OBJECT(refine_), property, value.c_str());
  }

 private:
  void set_caps(GstElement* source, const std::string& caps);
  std::string text_of(GstMessageType type);
  GstElement *pipeline_, *refine_, *rgb_, *depth_, *sink_;
  GstBus* bus_;
};

}  // namespace rgbd::testing
