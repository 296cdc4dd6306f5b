// SPDX-License-Identifier: Apache-2.0
// Events and queries of the three pads: who interrupts the pair in the engine, and who may wait again.
#include <utility>

#include "gst/refine/state.h"

#define GST_CAT_DEFAULT rgbd_refine_flush_debug

namespace rgbd::refine {
namespace {

GstAggregatorClass* parent_class() {
  static auto* parent = static_cast<GstAggregatorClass*>(g_type_class_peek(GST_TYPE_AGGREGATOR));
  return parent;
}

InputIndex index_of(GstRgbdRefine* self, GstAggregatorPad* pad) {
  return pad == self->pads[kRgb] ? kRgb : kDepth;
}

bool flushing_seek(GstEvent* event) {
  if (GST_EVENT_TYPE(event) != GST_EVENT_SEEK) return false;
  GstSeekFlags flags;
  gst_event_parse_seek(event, nullptr, nullptr, &flags, nullptr, nullptr, nullptr, nullptr);
  return flags & GST_SEEK_FLAG_FLUSH;
}

void stop_task(GstRgbdRefine* self) {
  GstPad* src = GST_AGGREGATOR_SRC_PAD(self);
  GST_PAD_ACTIVATEMODEFUNC(src)(src, GST_OBJECT(self), GST_PAD_MODE_PUSH, FALSE);
}

/// A source said, or did not say, that it can seek, and then refused. The base class has stopped its task and
/// flushed downstream, waits for a flush that does not come, and has put the seek's times into the segment.
void restart_after_refused_seek(GstRgbdRefine* self, guint32 number) {
  State& state = *self->state;
  GST_OBJECT_LOCK(self);
  if (state.last_seek == number) state.last_seek = GST_SEQNUM_INVALID;
  GST_OBJECT_UNLOCK(self);
  GST_OBJECT_LOCK(self->pads[kRgb]);
  GstSegment segment = self->pads[kRgb]->segment;
  GST_OBJECT_UNLOCK(self->pads[kRgb]);
  if (segment.format == GST_FORMAT_TIME) gst_aggregator_update_segment(GST_AGGREGATOR(self), &segment);
  if (!state.active) return;
  // Without a word to src_activate(), which would lower what others have raised.
  GstPad* src = GST_AGGREGATOR_SRC_PAD(self);
  state.task_starter = g_thread_self();
  GST_PAD_ACTIVATEMODEFUNC(src)(src, GST_OBJECT(self), GST_PAD_MODE_PUSH, TRUE);
  state.task_starter = nullptr;
  // Deactivated meanwhile: nobody would stop it again.
  if (!state.active) stop_task(self);
}

enum class Seekable { kYes, kNo, kUnknown };

Seekable pad_seekable(GstAggregatorPad* pad, GstFormat format) {
  GstQuery* query = gst_query_new_seeking(format);
  gboolean seekable = FALSE;
  bool answered = gst_pad_peer_query(GST_PAD(pad), query);
  if (answered) gst_query_parse_seeking(query, nullptr, &seekable, nullptr, nullptr);
  gst_query_unref(query);
  return answered ? (seekable ? Seekable::kYes : Seekable::kNo) : Seekable::kUnknown;
}

/// A source that cannot seek: alone, the other one would lose its partner. If neither could, the base class
/// would even stop its task for the seek and, as it failed, never start it again.
bool seek_is_hopeless(GstRgbdRefine* self, GstEvent* event) {
  GstFormat format;
  gst_event_parse_seek(event, nullptr, &format, nullptr, nullptr, nullptr, nullptr, nullptr);
  return pad_seekable(self->pads[kRgb], format) == Seekable::kNo ||
         pad_seekable(self->pads[kDepth], format) == Seekable::kNo;
}

gboolean seek(GstRgbdRefine* self, GstEvent* event) {
  State& state = *self->state;
  GstFormat format;
  gst_event_parse_seek(event, nullptr, &format, nullptr, nullptr, nullptr, nullptr, nullptr);
  if (format != GST_FORMAT_TIME) {
    GST_INFO_OBJECT(self, "only times can be sought, not %s", gst_format_get_name(format));
    gst_event_unref(event);
    return FALSE;
  }
  if (!flushing_seek(event)) return parent_class()->src_event(GST_AGGREGATOR(self), event);
  if (seek_is_hopeless(self, event)) {
    GST_INFO_OBJECT(self, "a source cannot seek");
    gst_event_unref(event);
    return FALSE;
  }
  // Every sink sends the same seek. The base class would drop a second one too, but only after it had
  // cancelled the very frame that the first one asked for.
  guint32 number = gst_event_get_seqnum(event);
  GST_OBJECT_LOCK(self);
  bool seen = std::exchange(state.last_seek, number) == number;
  GST_OBJECT_UNLOCK(self);
  if (seen) {
    gst_event_unref(event);
    return TRUE;
  }
  GST_DEBUG_OBJECT(self, "%" GST_PTR_FORMAT, event);
  // The base class joins the source task before any sink pad sees FLUSH_START.
  state.interrupt.raise(Interrupt::kSeek);
  gboolean done = parent_class()->src_event(GST_AGGREGATOR(self), event);
  state.interrupt.end_seek();
  if (!done) restart_after_refused_seek(self, number);
  return done;
}

void take_qos(GstRgbdRefine* self, GstEvent* event) {
  GstQOSType type;
  gdouble proportion;
  GstClockTimeDiff lateness;
  GstClockTime time;
  gst_event_parse_qos(event, &type, &proportion, &lateness, &time);
  GST_CAT_LOG_OBJECT(rgbd_refine_live_debug, self, "%" GST_PTR_FORMAT, event);
  self->state->qos.update(proportion, lateness, time, frame_duration_of(self));
}

/// Data begins to come on one pad while nothing feeds the other: without a word, this would be a silent wait.
void say_if_alone(GstRgbdRefine* self, InputIndex index) {
  GstPad* other = GST_PAD(self->pads[index == kRgb ? kDepth : kRgb]);
  if (gst_pad_is_linked(other) || self->state->said_unlinked.exchange(true)) return;
  GST_ELEMENT_WARNING(self, CORE, PAD,
                      ("The %s pad is not linked; nothing comes out until it is.", GST_PAD_NAME(other)),
                      (nullptr));
}

gboolean answer_seeking(GstRgbdRefine* self, GstQuery* query) {
  GstFormat format;
  gst_query_parse_seeking(query, &format, nullptr, nullptr, nullptr);
  if (pad_seekable(self->pads[kDepth], format) != Seekable::kYes) {
    gst_query_set_seeking(query, format, FALSE, 0, -1);
    return TRUE;
  }
  return gst_pad_peer_query(GST_PAD(self->pads[kRgb]), query);
}

/// Neighbours look for a CUDA context to share.
bool answer_context(GstRgbdRefine* self, GstQuery* query) {
  std::optional<int> device = cuda_device_of(self);
  return device && self->state->cuda.answer(GST_ELEMENT(self), query, *device);
}

/// The base class throws away what waits at the pads, CAPS too, when aggregate() ends the stream or fails.
/// Upstream does not send them again after a flush, and frames would be read in the layout of others.
void send_caps_again(GstRgbdRefine* self, GstAggregatorPad* pad) {
  GstCaps* caps = gst_pad_get_current_caps(GST_PAD(pad));
  if (!caps) return;
  parent_class()->sink_event_pre_queue(GST_AGGREGATOR(self), pad, gst_event_new_caps(caps));
  gst_caps_unref(caps);
}

/// The base class starts its task at the end of a flush, also when the src pad has been deactivated
/// meanwhile. Nobody would stop it again, and the state change that deactivates the pad waits for it. That
/// state change does not get past the sink pad before this returns.
GstFlowReturn end_flush(GstRgbdRefine* self, GstAggregatorPad* pad, GstEvent* event) {
  State& state = *self->state;
  GstFlowReturn flow = parent_class()->sink_event_pre_queue(GST_AGGREGATOR(self), pad, event);
  // Only now: before, the base class may still hold the pad's EOS.
  state.interrupt.lower(Interrupt::flush_of(index_of(self, pad)));
  send_caps_again(self, pad);
  if (!state.active) stop_task(self);
  return flow;
}

}  // namespace

GstFlowReturn sink_event_pre_queue(GstAggregator* aggregator, GstAggregatorPad* pad, GstEvent* event) {
  auto* self = GST_RGBD_REFINE(aggregator);
  Interrupt& interrupt = self->state->interrupt;
  InputIndex index = index_of(self, pad);
  GstEventType type = GST_EVENT_TYPE(event);
  if (type == GST_EVENT_FLUSH_START || type == GST_EVENT_FLUSH_STOP)
    GST_DEBUG_OBJECT(pad, "%" GST_PTR_FORMAT, event);
  if (type == GST_EVENT_FLUSH_START) interrupt.raise_flush(index, gst_event_get_seqnum(event));
  if (type == GST_EVENT_SEGMENT) say_if_alone(self, index);
  if (type != GST_EVENT_FLUSH_STOP) return parent_class()->sink_event_pre_queue(aggregator, pad, event);
  return end_flush(self, pad, event);
}

gboolean sink_event(GstAggregator* aggregator, GstAggregatorPad* pad, GstEvent* event) {
  auto* self = GST_RGBD_REFINE(aggregator);
  InputIndex index = index_of(self, pad);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_CAPS: {
      GstCaps* caps;
      gst_event_parse_caps(event, &caps);
      gboolean usable = set_input_caps(self, index, caps);
      // The src caps follow from both pads' caps; nobody downstream wants the sink pads' own.
      gst_event_unref(event);
      return usable;
    }
    case GST_EVENT_SEGMENT:
      self->state->steadying.forget();
      if (index == kRgb) {
        const GstSegment* segment;
        gst_event_parse_segment(event, &segment);
        if (segment->format == GST_FORMAT_TIME) gst_aggregator_update_segment(aggregator, segment);
        self->state->segment_sent = false;
        self->state->qos.reset();  // what the sinks said was about the old one's times
      }
      break;
    case GST_EVENT_SEGMENT_DONE:
      // The output's segment is that of the colour stream, and is done when that one is.
      if (index == kRgb) break;
      gst_event_unref(event);
      return TRUE;
    case GST_EVENT_GAP: {
      GST_OBJECT_LOCK(pad);
      GstFormat format = pad->segment.format;
      GST_OBJECT_UNLOCK(pad);
      if (format == GST_FORMAT_TIME) break;
      // Before a segment or in one of bytes its time means nothing; the base class would place it all the
      // same.
      GST_DEBUG_OBJECT(pad, "not in a segment of time: %" GST_PTR_FORMAT, event);
      gst_event_unref(event);
      return TRUE;
    }
    default:
      break;
  }
  return parent_class()->sink_event(aggregator, pad, event);
}

gboolean sink_query(GstAggregator* aggregator, GstAggregatorPad* pad, GstQuery* query) {
  auto* self = GST_RGBD_REFINE(aggregator);
  if (GST_QUERY_TYPE(query) == GST_QUERY_CAPS) {
    GstCaps* filter;
    gst_query_parse_caps(query, &filter);
    GstCaps* caps = sink_caps(self, index_of(self, pad), filter);
    gst_query_set_caps_result(query, caps);
    gst_caps_unref(caps);
    return TRUE;
  }
  if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT && answer_context(self, query)) return TRUE;
  return parent_class()->sink_query(aggregator, pad, query);
}

gboolean src_event(GstAggregator* aggregator, GstEvent* event) {
  auto* self = GST_RGBD_REFINE(aggregator);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_SEEK:
      return seek(self, event);
    case GST_EVENT_LATENCY: {
      GstClockTime latency;
      gst_event_parse_latency(event, &latency);
      self->state->pipeline_latency = latency;
      GST_CAT_DEBUG_OBJECT(rgbd_refine_live_debug, self, "the pipeline's latency is %" GST_TIME_FORMAT,
                           GST_TIME_ARGS(latency));
      return parent_class()->src_event(aggregator, event);
    }
    case GST_EVENT_QOS:
      // Passed on, it would make the two sources drop different frames.
      take_qos(self, event);
      gst_event_unref(event);
      return TRUE;
    default:
      return parent_class()->src_event(aggregator, event);
  }
}

gboolean src_query(GstAggregator* aggregator, GstQuery* query) {
  auto* self = GST_RGBD_REFINE(aggregator);
  if (GST_QUERY_TYPE(query) == GST_QUERY_SEEKING) return answer_seeking(self, query);
  if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT && answer_context(self, query)) return TRUE;
  return parent_class()->src_query(aggregator, query);
}

gboolean src_activate(GstAggregator* aggregator, GstPadMode, gboolean active) {
  State& state = *GST_RGBD_REFINE(aggregator)->state;
  if (state.task_starter == g_thread_self()) return TRUE;
  state.active = active;
  if (active) {
    state.interrupt.reset();
  } else {
    state.interrupt.raise(Interrupt::kInactive);
  }
  return TRUE;
}

/// The base class of 1.22 notes that it is flushing, and forgets it only when every pad has had its end of
/// the same flush; a pad that was deactivated meanwhile refuses that event. From then on it would push
/// nothing, stop its task for no later flush, and let the end of one wait for the sink.
void end_unfinished_flush(GstRgbdRefine* self) {
  GstEvent* event = gst_event_new_flush_stop(TRUE);
  for (GstAggregatorPad* pad : self->pads)
    parent_class()->sink_event(GST_AGGREGATOR(self), pad, gst_event_ref(event));
  gst_event_unref(event);
  stop_task(self);  // which the last of them has started
}

GstFlowReturn flush(GstAggregator* aggregator) {
  State& state = *GST_RGBD_REFINE(aggregator)->state;
  gst_clear_buffer(&state.last_refined);
  state.pair_count = 0;
  state.segment_sent = state.discontinuous = false;
  state.qos.reset();
  state.interrupt.seek_flushed();
  return GST_FLOW_OK;
}

}  // namespace rgbd::refine
