// SPDX-License-Identifier: Apache-2.0
// See stress_stream.h.
#include "tests/gst/stress_stream.h"

#include <gst/video/video.h>

#include <chrono>
#include <utility>

namespace {

struct StressSource {
  GstElement parent;
  rgbd::testing::Stream* stream;
};
struct StressSourceClass {
  GstElementClass parent_class;
};
G_DEFINE_TYPE(StressSource, stress_source, GST_TYPE_ELEMENT)

rgbd::testing::Stream& stream_of(GstObject* element) {
  return *reinterpret_cast<StressSource*>(element)->stream;
}

void stress_source_class_init(StressSourceClass* klass) {
  GST_ELEMENT_CLASS(klass)->change_state = [](GstElement* element, GstStateChange transition) {
    return stream_of(GST_OBJECT(element))
        .change_state(transition, GST_ELEMENT_CLASS(stress_source_parent_class));
  };
}

void stress_source_init(StressSource* self) {
  GST_OBJECT_FLAG_SET(self, GST_ELEMENT_FLAG_SOURCE);
  GstPad* pad = gst_pad_new("src", GST_PAD_SRC);
  gst_pad_set_event_function(
      pad, [](GstPad*, GstObject* parent, GstEvent* event) { return stream_of(parent).source_event(event); });
  gst_pad_set_query_function(pad, [](GstPad* pad, GstObject* parent, GstQuery* query) {
    return stream_of(parent).source_query(pad, query);
  });
  gst_element_add_pad(GST_ELEMENT(self), pad);
}

}  // namespace

namespace rgbd::testing {
namespace {

GstCaps* caps_of(const Shape& shape) {
  GstCaps* caps = gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, shape.format.c_str(), "width",
                                      G_TYPE_INT, shape.width, "height", G_TYPE_INT, shape.height,
                                      "framerate", GST_TYPE_FRACTION, shape.rate, 1, nullptr);
  if (shape.unit > 0) gst_caps_set_simple(caps, "depth-unit", G_TYPE_DOUBLE, shape.unit, nullptr);
  return caps;
}

/// Depth is `number` everywhere; of colour, the stand-in for the core passes on the first and the last byte
/// of the first plane.
GstBuffer* numbered(const Shape& shape, unsigned number) {
  GstCaps* caps = caps_of(shape);
  GstVideoInfo info;
  gst_video_info_from_caps(&info, caps);
  gst_caps_unref(caps);
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
  GstVideoFrame frame;
  gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE);
  auto* plane = static_cast<guint8*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0));
  gsize stride = static_cast<gsize>(GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0));
  gsize row = static_cast<gsize>(GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, 0) * shape.width);
  bool big_endian = shape.format == "GRAY16_BE";
  if (big_endian || shape.format == "GRAY16_LE") {
    for (int y = 0; y < shape.height; ++y) {
      for (int x = 0; x < shape.width; ++x) {
        guint8* at = plane + static_cast<gsize>(y) * stride + 2 * static_cast<gsize>(x);
        big_endian ? GST_WRITE_UINT16_BE(at, number) : GST_WRITE_UINT16_LE(at, number);
      }
    }
  } else {
    plane[0] = static_cast<guint8>(number);
    plane[static_cast<gsize>(shape.height - 1) * stride + row - 1] = static_cast<guint8>(number >> 8);
  }
  gst_video_frame_unmap(&frame);
  return buffer;
}

}  // namespace

Stream::Stream(Kind kind, bool live, uint64_t seed) : kind_(kind), live_(live), random_(seed) {
  shape_.format = kind == kRgb ? "RGB" : "GRAY16_LE";
  element_ =
      GST_ELEMENT(g_object_new(stress_source_get_type(), "name", kind == kRgb ? "rgb" : "depth", nullptr));
  reinterpret_cast<StressSource*>(element_)->stream = this;
  pad_ = gst_element_get_static_pad(element_, "src");
}

Stream::~Stream() {
  stop();
  gst_object_unref(pad_);
}

void Stream::start() {
  thread_ = std::thread([this] { run(); });
}

void Stream::stop() {
  {
    std::lock_guard lock(wake_mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool Stream::begin_flush(guint32 seqnum) {
  flush_mutex_.lock();
  if (!active_) {
    flush_mutex_.unlock();
    return false;
  }
  GstEvent* event = gst_event_new_flush_start();
  gst_event_set_seqnum(event, seqnum);
  gst_pad_push_event(pad_, event);
  return true;
}

void Stream::end_flush(guint32 seqnum, std::optional<GstClockTime> seek_to) {
  {
    std::lock_guard lock(push_mutex_);
    uint64_t generation = ++generation_;
    {
      std::lock_guard ledger(ledger_mutex_);
      flushes_[seqnum] = generation;
    }
    eos_ = false;
    send_segment_ = true;
    if (seek_to) {
      segment_start_ = *seek_to;
      position_ = *seek_to / kGrid;
    }
    GstEvent* event = gst_event_new_flush_stop(!live_);
    gst_event_set_seqnum(event, seqnum);
    gst_pad_push_event(pad_, event);
  }
  flush_mutex_.unlock();
  std::lock_guard lock(wake_mutex_);
  wake_.notify_all();
}

void Stream::set_shape(const Shape& shape) {
  std::lock_guard lock(wake_mutex_);
  shape_wanted_ = shape;
}

void Stream::end_stream() {
  std::lock_guard lock(wake_mutex_);
  eos_wanted_ = true;
}

void Stream::calm_down() {
  std::lock_guard lock(wake_mutex_);
  eos_wanted_ = false;
  calm_ = true;
}

std::optional<Sent> Stream::find(unsigned number) const {
  std::lock_guard lock(ledger_mutex_);
  if (number < kFirstNumber || ledger_.empty()) return {};
  uint64_t last = ledger_.size() - 1, residue = number - kFirstNumber;
  if (residue >= kNumbers || (last < residue)) return {};
  return ledger_[last - (last - residue) % kNumbers];
}

std::optional<Sent> Stream::find_after(uint64_t serial, GstClockTime pts) const {
  std::lock_guard lock(ledger_mutex_);
  for (uint64_t i = serial + 1; i < ledger_.size(); ++i)
    if (ledger_[i].pts == pts) return ledger_[i];
  return {};
}

void Stream::flushed_through(guint32 seqnum) {
  std::lock_guard lock(ledger_mutex_);
  auto flush = flushes_.find(seqnum);
  if (flush != flushes_.end() && flush->second > floor_) floor_ = flush->second;
}

GstStateChangeReturn Stream::change_state(GstStateChange transition, GstElementClass* parent) {
  switch (transition) {
    case GST_STATE_CHANGE_READY_TO_PAUSED: {
      std::lock_guard lock(push_mutex_);
      start_ = true;
      eos_ = false;
      position_ = 0;
      segment_start_ = 0;
      break;
    }
    case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
      playing_ = false;
      break;
    case GST_STATE_CHANGE_PAUSED_TO_READY: {
      std::lock_guard lock(flush_mutex_);
      active_ = false;
      break;
    }
    default:
      break;
  }
  GstStateChangeReturn result = parent->change_state(element_, transition);
  if (result == GST_STATE_CHANGE_FAILURE) return result;
  switch (transition) {
    case GST_STATE_CHANGE_READY_TO_PAUSED: {
      std::lock_guard lock(flush_mutex_);
      active_ = true;
      break;
    }
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      playing_ = true;
      break;
    case GST_STATE_CHANGE_PAUSED_TO_READY: {
      // The elements behind this one are in READY already.
      std::lock_guard lock(push_mutex_);
      floor_ = ++generation_;
      break;
    }
    default:
      break;
  }
  bool to_paused =
      transition == GST_STATE_CHANGE_READY_TO_PAUSED || transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED;
  return live_ && to_paused ? GST_STATE_CHANGE_NO_PREROLL : result;
}

gboolean Stream::source_event(GstEvent* event) {
  gboolean done = TRUE;
  if (GST_EVENT_TYPE(event) == GST_EVENT_SEEK) {
    GstSeekFlags flags;
    gint64 start;
    gst_event_parse_seek(event, nullptr, nullptr, &flags, nullptr, &start, nullptr, nullptr);
    guint32 seqnum = gst_event_get_seqnum(event);
    done = !live_ && (flags & GST_SEEK_FLAG_FLUSH) && begin_flush(seqnum);
    if (done) end_flush(seqnum, static_cast<GstClockTime>(start));
  }
  gst_event_unref(event);
  return done;
}

gboolean Stream::source_query(GstPad* pad, GstQuery* query) {
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_LATENCY:
      gst_query_set_latency(query, live_, live_ ? kGrid : 0, GST_CLOCK_TIME_NONE);
      return TRUE;
    case GST_QUERY_SEEKING: {
      GstFormat format;
      gst_query_parse_seeking(query, &format, nullptr, nullptr, nullptr);
      std::lock_guard lock(flush_mutex_);
      gst_query_set_seeking(query, format, format == GST_FORMAT_TIME && active_ && !live_, 0, -1);
      return TRUE;
    }
    default:
      return gst_pad_query_default(pad, GST_OBJECT(element_), query);
  }
}

void Stream::wait(GstClockTime time) {
  std::unique_lock lock(wake_mutex_);
  if (!stopping_) wake_.wait_for(lock, std::chrono::nanoseconds(time));
}

void Stream::run() {
  while (!stopping_) {
    if (live_ && !playing_) {
      wait(GST_MSECOND);
    } else if (push_next() != GST_FLOW_OK) {
      wait(GST_MSECOND);  // until somebody flushes it, or brings it up again
    }
  }
}

void Stream::send_events() {
  std::optional<Shape> shape;
  {
    std::lock_guard lock(wake_mutex_);
    shape = std::exchange(shape_wanted_, {});
  }
  if (shape) shape_ = *shape;
  if (start_) gst_pad_push_event(pad_, gst_event_new_stream_start(GST_OBJECT_NAME(element_)));
  if (start_ || shape || caps_due_) {
    GstCaps* caps = caps_of(shape_);
    // A flush that has begun may have swallowed it: once more, then.
    caps_due_ = !gst_pad_push_event(pad_, gst_event_new_caps(caps));
    gst_caps_unref(caps);
  }
  if (std::exchange(start_, false) || std::exchange(send_segment_, false)) {
    send_segment_ = false;
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = segment.time = segment.position = segment_start_;
    gst_pad_push_event(pad_, gst_event_new_segment(&segment));
  }
}

GstFlowReturn Stream::push_next() {
  std::unique_lock lock(push_mutex_);
  if (eos_) return GST_FLOW_EOS;
  if (!gst_pad_is_active(pad_)) return GST_FLOW_FLUSHING;
  send_events();
  {
    std::lock_guard wake(wake_mutex_);
    eos_ = std::exchange(eos_wanted_, false);
  }
  if (eos_) {
    gst_pad_push_event(pad_, gst_event_new_eos());
    return GST_FLOW_EOS;
  }
  ++position_;
  bool calm = calm_;
  if (!calm && chance(0.04)) position_ += std::uniform_int_distribution<uint64_t>(1, 5)(random_);
  if (live_) {
    GstClockTime now = gst_element_get_current_running_time(element_);
    if (!GST_CLOCK_TIME_IS_VALID(now)) return GST_FLOW_FLUSHING;
    position_ = std::max(position_, now / kGrid);
    if (position_ * kGrid > now) {
      // A camera's frame comes when it is time; whoever flushes meanwhile need not wait for that.
      GstClockTime early = MIN(position_ * kGrid - now, 5 * kGrid);
      lock.unlock();
      wait(early);
      lock.lock();
      if (eos_ || start_ || send_segment_ || !gst_pad_is_active(pad_)) return GST_FLOW_OK;
    }
  } else if (!calm && chance(0.01)) {
    position_ -= MIN(position_, 20);  // timestamps that jump back
  }
  GstClockTime pts = position_ * kGrid;
  if (!calm && chance(0.3)) {
    int64_t most = static_cast<int64_t>(chance(0.1) ? 9 * GST_MSECOND : 2 * GST_MSECOND);
    int64_t jitter = std::uniform_int_distribution<int64_t>(-most, most)(random_);
    pts =
        jitter < 0 && pts < static_cast<GstClockTime>(-jitter) ? 0 : pts + static_cast<GstClockTime>(jitter);
  }
  if (!calm && chance(0.03)) {
    gst_pad_push_event(pad_, gst_event_new_gap(pts, kGrid));
    return GST_FLOW_OK;
  }
  return push_frame(!calm && chance(0.01) ? GST_CLOCK_TIME_NONE : pts);
}

GstFlowReturn Stream::push_frame(GstClockTime pts) {
  Sent sent;
  sent.generation = generation_;
  sent.pts = pts;
  if (GST_CLOCK_TIME_IS_VALID(pts)) sent.running_time = pts > segment_start_ ? pts - segment_start_ : 0;
  sent.width = shape_.width;
  sent.height = shape_.height;
  {
    std::lock_guard lock(ledger_mutex_);
    sent.serial = ledger_.size();
    ledger_.push_back(sent);
  }
  GstBuffer* buffer = numbered(shape_, static_cast<unsigned>(sent.serial % kNumbers) + kFirstNumber);
  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_DURATION(buffer) = kGrid;
  return gst_pad_push(pad_, buffer);
}

}  // namespace rgbd::testing
