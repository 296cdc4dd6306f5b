// SPDX-License-Identifier: Apache-2.0
// A source element of the stress test: numbered frames on one pad from a thread of its own, with all that
// real sources do to them, and a ledger of what it sent. It seeks and changes state as GstBaseSrc does.
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace rgbd::testing {

/// Distance of two frames' timestamps, whatever the caps say.
inline constexpr GstClockTime kGrid = 10 * GST_MSECOND;

struct Shape {
  std::string format;
  int width = 16, height = 16;
  int rate = 100;   // frames a second; 0: not in the caps
  double unit = 0;  // metres per step; 0: not in the caps
};

/// What is known of a frame that went in.
struct Sent {
  uint64_t serial = 0;      // in the order of sending
  uint64_t generation = 0;  // how often its stream had been flushed or restarted
  GstClockTime pts = GST_CLOCK_TIME_NONE, running_time = GST_CLOCK_TIME_NONE;
  int width = 0, height = 0;
};

class Stream {
 public:
  enum Kind { kRgb, kDepth };
  Stream(Kind kind, bool live, uint64_t seed);
  ~Stream();
  Stream(const Stream&) = delete;

  /// Has the one pad `src`. Owned by the bin that it was added to; must not outlive the Stream.
  GstElement* element() { return element_; }
  void start();
  /// The element has to be in NULL by now.
  void stop();

  /// All of these from any thread.
  /// A flush, from begin to end in one thread. False: the element is not active, and nothing was begun.
  bool begin_flush(guint32 seqnum);
  void end_flush(guint32 seqnum, std::optional<GstClockTime> seek_to = {});
  void set_shape(const Shape& shape);
  void end_stream();
  /// From now on no jitter, no gaps, nothing missing, and no end that was asked for before.
  void calm_down();

  /// The frame with this number in its pixels, the last one sent; nothing: there is none.
  std::optional<Sent> find(unsigned number) const;
  /// The first one after `serial` with this timestamp.
  std::optional<Sent> find_after(uint64_t serial, GstClockTime pts) const;
  uint64_t generation() const { return generation_; }
  /// Nothing older than this generation can come out any more.
  uint64_t floor() const { return floor_; }
  /// A flush with this number came out of the element.
  void flushed_through(guint32 seqnum);

  // For the element's class.
  GstStateChangeReturn change_state(GstStateChange transition, GstElementClass* parent);
  gboolean source_event(GstEvent* event);
  gboolean source_query(GstPad* pad, GstQuery* query);

  static constexpr unsigned kFirstNumber = 300, kNumbers = 60000;

 private:
  void run();
  void wait(GstClockTime time);
  GstFlowReturn push_next();
  void send_events();
  GstFlowReturn push_frame(GstClockTime pts);
  bool chance(double probability) { return std::bernoulli_distribution(probability)(random_); }

  const Kind kind_;
  const bool live_;
  GstElement* element_;
  GstPad* pad_;
  std::thread thread_;
  std::mt19937_64 random_;  // of the thread

  std::atomic<bool> calm_ = false, stopping_ = false, playing_ = false;
  std::atomic<uint64_t> generation_ = 0, floor_ = 0;

  std::mutex flush_mutex_;  // before push_mutex_
  bool active_ = false;

  std::mutex push_mutex_;  // held while a frame is pushed
  bool start_ = true, send_segment_ = false, caps_due_ = false, eos_ = false;
  Shape shape_;
  uint64_t position_ = 0;  // in units of kGrid
  GstClockTime segment_start_ = 0;

  std::mutex wake_mutex_;  // a leaf
  std::condition_variable wake_;
  bool eos_wanted_ = false;
  std::optional<Shape> shape_wanted_;

  mutable std::mutex ledger_mutex_;  // a leaf
  std::vector<Sent> ledger_;
  std::map<guint32, uint64_t> flushes_;  // generation that began with the flush of a number
};

}  // namespace rgbd::testing
