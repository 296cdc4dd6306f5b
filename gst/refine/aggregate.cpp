// SPDX-License-Identifier: Apache-2.0
// One turn of the source task: peek at both pads, decide, take, and put out.
//
// Nothing taken is held between two calls. Taking before deciding would let the next CAPS or SEGMENT act on
// the pad while its older frame is still here.
#include <cstdlib>
#include <memory>
#include <string>

#include "gst/refine/buffer_ptr.h"
#include "gst/refine/errors.h"
#include "gst/refine/state.h"

#define GST_CAT_DEFAULT rgbd_refine_pair_debug

namespace rgbd::refine {
namespace {

/// The base class makes a buffer without bytes of a GAP event. A frame with bytes is one, whatever its flags:
/// videorate marks what it repeats so. One without bytes and without the flag is a bad one.
bool is_gap(GstBuffer* buffer) {
  return GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP) && gst_buffer_get_size(buffer) == 0;
}

int64_t running_time_of(const GstSegment& segment, GstClockTime position) {
  guint64 value = 0;
  int sign = gst_segment_to_running_time_full(&segment, GST_FORMAT_TIME, position, &value);
  if (sign == 0) return kUntimed;
  return sign * static_cast<int64_t>(MIN(value, guint64{G_MAXINT64}));
}

/// Places a frame in running time. False: it lies outside the segment.
bool place(const GstSegment& segment, GstClockTime pts, GstClockTime duration, Head& head) {
  if (segment.format != GST_FORMAT_TIME || !GST_CLOCK_TIME_IS_VALID(pts)) return true;
  if (!gst_segment_clip(&segment, GST_FORMAT_TIME, pts, pts + duration, nullptr, nullptr)) return false;
  head.running_time = running_time_of(segment, pts);
  head.end_time = running_time_of(segment, pts + duration);
  if (head.gap && head.end_time < head.running_time)
    std::swap(head.running_time, head.end_time);  // backwards
  return true;
}

/// What waits at the pad, and a reference on it in `buffer`.
Head peek(GstRgbdRefine* self, InputIndex index, BufferPtr& buffer) {
  buffer.reset(gst_aggregator_pad_peek_buffer(self->pads[index]));
  if (buffer) return self->state->inputs[index].head;
  Head nothing;
  nothing.eos = gst_aggregator_pad_is_eos(self->pads[index]);
  return nothing;
}

void take(GstRgbdRefine* self, InputIndex index) {
  gst_aggregator_pad_drop_buffer(self->pads[index]);
}

/// A flush does not reach a frame that was peeked before it: true, and taken, when this is one.
bool drop_stale(GstRgbdRefine* self, InputIndex index, const BufferPtr& buffer) {
  State& state = *self->state;
  if (!buffer || state.inputs[index].flushes == state.interrupt.flushes(index)) return false;
  take(self, index);
  state.stats.dropped(Drop::kFlushed);
  state.discontinuous |= index == kRgb;
  return true;
}

PairingRule rule_of(GstRgbdRefine* self, const Settings& settings) {
  PairingRule rule;
  rule.by_order = self->state->by_order;
  GST_OBJECT_LOCK(self);
  GstClockTime tolerance = self->state->shorter_frame / 2;
  GST_OBJECT_UNLOCK(self);
  if (GST_CLOCK_TIME_IS_VALID(settings.pts_tolerance)) tolerance = settings.pts_tolerance;
  rule.tolerance = static_cast<int64_t>(MIN(tolerance, GstClockTime{G_MAXINT64}));
  return rule;
}

void say_no_timestamp(GstRgbdRefine* self, InputIndex without) {
  if (std::exchange(self->state->said.no_timestamp, true)) return;
  GST_ELEMENT_WARNING(self, STREAM, FAILED,
                      ("A frame on the %s pad has no timestamp; such frames are paired by order.",
                       GST_PAD_NAME(self->pads[without])),
                      (nullptr));
}

/// Whether this depth frame belongs to the colour frame that was dropped for its age before it came.
bool was_dropped_with(const State& state, const Head& depth, const PairingRule& rule) {
  if (state.dropped_alone == kUntimed || depth.running_time == kUntimed) return false;
  return std::abs(state.dropped_alone - depth.running_time) <= rule.tolerance;
}

GstFlowReturn take_turn(GstRgbdRefine* self, bool timeout) {
  State& state = *self->state;
  if (state.interrupt.raised_after_wait()) return GST_AGGREGATOR_FLOW_NEED_DATA;
  take_swapped_model(self);
  const Settings settings = settings_of(self);
  state.upstream_latency = upstream_latency(self);

  BufferPtr rgb, depth;
  Head rgb_head = peek(self, kRgb, rgb), depth_head = peek(self, kDepth, depth);
  bool stale_rgb = drop_stale(self, kRgb, rgb), stale_depth = drop_stale(self, kDepth, depth);
  if (stale_rgb || stale_depth) return GST_AGGREGATOR_FLOW_NEED_DATA;

  if (rgb) state.inputs[kRgb].silent_since = GST_CLOCK_TIME_NONE;
  if (depth) state.inputs[kDepth].silent_since = GST_CLOCK_TIME_NONE;

  PairingRule rule = rule_of(self, settings);
  GstClockTime rgb_time = clock_time(rgb_head), depth_time = clock_time(depth_head);
  Step step = decide(rgb_head, depth_head, rule, timeout);
  GST_TRACE_OBJECT(self, "rgb %" GST_TIME_FORMAT " depth %" GST_TIME_FORMAT " step %d",
                   GST_TIME_ARGS(rgb_time), GST_TIME_ARGS(depth_time), static_cast<int>(step));
  if (rgb && depth && !rule.by_order) {
    if (rgb_head.running_time == kUntimed) say_no_timestamp(self, kRgb);
    if (depth_head.running_time == kUntimed) say_no_timestamp(self, kDepth);
  }

  switch (step) {
    case Step::kWait:
      return GST_AGGREGATOR_FLOW_NEED_DATA;
    case Step::kEos:
      return GST_FLOW_EOS;
    case Step::kPair: {
      bool timed = rgb_head.running_time != kUntimed && depth_head.running_time != kUntimed;
      int64_t skew = timed ? depth_head.running_time - rgb_head.running_time : 0;
      take(self, kRgb);
      take(self, kDepth);
      state.stats.pair_in(skew);
      GST_LOG_OBJECT(self, "pair: rgb %" GST_TIME_FORMAT ", skew %" G_GINT64_FORMAT " ns",
                     GST_TIME_ARGS(rgb_time), skew);
      if (drop_for_age(self, settings, rgb.get(), rgb_time)) return push_nothing(self, rgb.get());
      bool refine = state.pair_count++ % settings.inference_interval == 0;
      return refine ? push_refined(self, settings, rgb.get(), depth.get())
                    : push_skipped(self, settings, rgb.get(), depth.get(), skew, Drop::kInterval);
    }
    case Step::kRgbAlone:
    case Step::kRgbNoDepth:
      take(self, kRgb);
      if (step == Step::kRgbNoDepth) take(self, kDepth);
      GST_LOG_OBJECT(self, "rgb %" GST_TIME_FORMAT " without depth", GST_TIME_ARGS(rgb_time));
      if (depth) note_distance(self, rgb_head, depth_head);
      if (!depth && !depth_head.eos) note_silence(self, kDepth, rgb_time);
      if (drop_for_age(self, settings, rgb.get(), rgb_time)) {
        if (!depth) state.dropped_alone = rgb_head.running_time;
        return push_nothing(self, rgb.get());
      }
      return push_skipped(self, settings, rgb.get(), nullptr, 0, Drop::kUnpairedRgb);
    case Step::kRgbGap:
    case Step::kRgbGapPair:
      take(self, kRgb);
      if (step == Step::kRgbGapPair) {
        take(self, kDepth);
        if (!depth_head.gap) state.stats.dropped(Drop::kUnpairedDepth);
      }
      push_gap(self, rgb.get());
      return GST_AGGREGATOR_FLOW_NEED_DATA;
    case Step::kDepthAlone:
      take(self, kDepth);
      GST_LOG_OBJECT(self, "dropped depth %" GST_TIME_FORMAT ": without rgb", GST_TIME_ARGS(depth_time));
      if (rgb) note_distance(self, rgb_head, depth_head);
      if (!rgb) note_silence(self, kRgb, depth_time);
      if (!depth_head.gap && !was_dropped_with(state, depth_head, rule)) {
        state.stats.dropped(Drop::kUnpairedDepth);
      }
      return GST_AGGREGATOR_FLOW_NEED_DATA;
  }
  return GST_AGGREGATOR_FLOW_NEED_DATA;
}

}  // namespace

GstBuffer* clip(GstAggregator* aggregator, GstAggregatorPad* pad, GstBuffer* buffer) {
  auto* self = GST_RGBD_REFINE(aggregator);
  InputIndex index = pad == self->pads[kRgb] ? kRgb : kDepth;
  State& state = *self->state;
  Input& input = state.inputs[index];
  GST_OBJECT_LOCK(pad);
  GstSegment segment = pad->segment;
  GST_OBJECT_UNLOCK(pad);

  Head head;
  head.waiting = true;
  head.gap = is_gap(buffer);
  if (!head.gap) state.stats.frame_in(index == kRgb);
  GstClockTime duration =
      GST_BUFFER_DURATION_IS_VALID(buffer) ? GST_BUFFER_DURATION(buffer) : frame_length(input);
  if (!GST_CLOCK_TIME_IS_VALID(duration)) duration = 0;
  GstClockTime length = frame_length(input);
  if (!head.gap) head.length = static_cast<int64_t>(GST_CLOCK_TIME_IS_VALID(length) ? length : duration);
  if (!place(segment, GST_BUFFER_PTS(buffer), duration, head)) {
    GST_DEBUG_OBJECT(pad, "outside the segment: %" GST_PTR_FORMAT, buffer);
    gst_buffer_unref(buffer);
    return nullptr;
  }
  input.head = head;
  input.flushes = state.interrupt.flushes_before_frame(index);
  input.seen = GST_CLOCK_TIME_NONE;
  return buffer;
}

GstFlowReturn aggregate(GstAggregator* aggregator, gboolean timeout) {
  auto* self = GST_RGBD_REFINE(aggregator);
  return guarded<GstFlowReturn>(GST_ELEMENT(self), "refining a pair", GST_FLOW_ERROR,
                                [&] { return take_turn(self, timeout); });
}

}  // namespace rgbd::refine
