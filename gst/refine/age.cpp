// SPDX-License-Identifier: Apache-2.0
// How old a frame may be: what `leaky` and the sinks' QoS allow, and what is dropped for it.
#include <utility>

#include "gst/refine/state.h"

#define GST_CAT_DEFAULT rgbd_refine_live_debug

namespace rgbd::refine {
namespace {

/// Age on the pipeline's clock beyond what `leaky` allows.
bool too_old(GstRgbdRefine* self, const Settings& settings, GstClockTime running_time) {
  if (settings.leaky == Leaky::kNone || !GST_CLOCK_TIME_IS_VALID(running_time)) return false;
  bool live = GST_CLOCK_TIME_IS_VALID(self->state->upstream_latency);
  if (settings.leaky == Leaky::kAuto && !live) return false;
  GstClockTime now = running_now(self);
  if (!GST_CLOCK_TIME_IS_VALID(now)) return false;
  return now > running_time + allowed_age(self, settings);
}

/// For a second each frame was too old when it came, and no model had a part in that.
void say_if_all_are_late(GstRgbdRefine* self, const Settings& settings) {
  State& state = *self->state;
  GstClockTime now = running_now(self);
  if (!GST_CLOCK_TIME_IS_VALID(now)) return;
  if (!GST_CLOCK_TIME_IS_VALID(state.late_since) || state.late_since > now) state.late_since = now;
  if (now - state.late_since < GST_SECOND || std::exchange(state.said.late, true)) return;
  GST_ELEMENT_WARNING(self, STREAM, FAILED,
                      ("Nothing comes out: each frame is older than %" G_GUINT64_FORMAT
                       " ms by now, the latency of its source and max-pairs frames. If the source is slower "
                       "than its latency says, "
                       "set latency or max-pairs.",
                       allowed_age(self, settings) / GST_MSECOND),
                      (nullptr));
}

/// Whether the sink has said that it would drop this frame; if so, says so on the bus.
bool too_late(GstRgbdRefine* self, const Settings& settings, GstBuffer* rgb, GstClockTime running_time) {
  State& state = *self->state;
  if (!settings.qos) return false;
  Qos::Verdict verdict = state.qos.judge(running_time);
  if (!verdict.late) return false;
  state.stats.dropped(Drop::kQos);
  GST_CAT_LOG_OBJECT(rgbd_refine_live_debug, self,
                     "dropped rgb %" GST_TIME_FORMAT ": %" G_GINT64_FORMAT " ns late",
                     GST_TIME_ARGS(running_time), verdict.jitter);
  GST_OBJECT_LOCK(self->pads[kRgb]);
  const GstSegment& segment = self->pads[kRgb]->segment;
  // A flush that began meanwhile has taken the frame's segment away.
  GstClockTime stream_time = segment.format == GST_FORMAT_TIME
                                 ? gst_segment_to_stream_time(&segment, GST_FORMAT_TIME, GST_BUFFER_PTS(rgb))
                                 : GST_CLOCK_TIME_NONE;
  GST_OBJECT_UNLOCK(self->pads[kRgb]);
  GstMessage* message = gst_message_new_qos(GST_OBJECT(self), TRUE, running_time, stream_time,
                                            GST_BUFFER_PTS(rgb), GST_BUFFER_DURATION(rgb));
  gst_message_set_qos_values(message, verdict.jitter, verdict.proportion, 1000000);
  uint64_t processed, dropped;
  state.stats.totals(processed, dropped);
  gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, processed, dropped);
  gst_element_post_message(GST_ELEMENT(self), message);
  return true;
}

}  // namespace

GstClockTime running_now(GstRgbdRefine* self) {
  GST_OBJECT_LOCK(self);
  GstClock* clock = GST_STATE(self) == GST_STATE_PLAYING ? GST_ELEMENT_CLOCK(self) : nullptr;
  if (clock) gst_object_ref(clock);
  GstClockTime base_time = GST_ELEMENT_CAST(self)->base_time;
  GST_OBJECT_UNLOCK(self);
  if (!clock) return GST_CLOCK_TIME_NONE;
  GstClockTime now = gst_clock_get_time(clock);
  gst_object_unref(clock);
  return now > base_time ? now - base_time : 0;
}

GstClockTime upstream_latency(GstRgbdRefine* self) {
  GstClockTime all = gst_aggregator_get_latency(GST_AGGREGATOR(self)), own = self->state->own_latency;
  if (!GST_CLOCK_TIME_IS_VALID(all)) return GST_CLOCK_TIME_NONE;
  return all > own ? all - own : 0;
}

GstClockTime allowed_age(GstRgbdRefine* self, const Settings& settings) {
  State& state = *self->state;
  GstClockTime upstream = GST_CLOCK_TIME_IS_VALID(state.upstream_latency) ? state.upstream_latency : 0;
  GstClockTime frame = frame_duration_of(self), allowed = upstream + settings.max_pairs * frame;
  GstClockTime pipeline = state.pipeline_latency, inference = state.latency.reported_ns();
  if (!GST_CLOCK_TIME_IS_VALID(pipeline) || pipeline <= upstream + state.own_latency) return allowed;
  return MAX(allowed, pipeline - inference + frame);
}

bool drop_for_age(GstRgbdRefine* self, const Settings& settings, GstBuffer* rgb, GstClockTime running_time) {
  if (too_old(self, settings, running_time)) {
    self->state->stats.dropped(Drop::kLate);
    say_if_all_are_late(self, settings);
    GST_LOG_OBJECT(self, "dropped rgb %" GST_TIME_FORMAT ": too old", GST_TIME_ARGS(running_time));
    return true;
  }
  return too_late(self, settings, rgb, running_time);
}

}  // namespace rgbd::refine
