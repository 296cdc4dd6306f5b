// SPDX-License-Identifier: Apache-2.0
// The private demuxer inside rgbdtestsrc: gives each stream its memory of the frame, its caps and its stream
// id, and tells the source what is linked and what goes there.
#include <gst/base/gstflowcombiner.h>

#include "gst/testsrc/source.h"

namespace {
using rgbd::kStreamNames;
using rgbd::kStreams;
}  // namespace

struct GstRgbdTestDemux {
  GstElement parent;
  GstPad* sink;
  GstPad* src[kStreams];
  bool in_frame[kStreams];  // streaming thread; what the current caps carry
  GstFlowCombiner* flows;   // streaming thread
  guint32 last_seek;        // OBJECT_LOCK; each sink of a pipeline sends the same seek, one is enough
};
struct GstRgbdTestDemuxClass {
  GstElementClass parent;
};
G_DEFINE_TYPE(GstRgbdTestDemux, gst_rgbd_test_demux, GST_TYPE_ELEMENT)
static GstRgbdTestDemux* cast(gpointer object) {
  return static_cast<GstRgbdTestDemux*>(object);
}

/// Whether anybody listens beyond the bin's ghost pad.
static bool is_linked_outside(GstPad* pad) {
  GstPad* peer = gst_pad_get_peer(pad);
  if (!peer) return false;
  bool linked = true;
  if (GST_IS_PROXY_PAD(peer)) {
    GstProxyPad* ghost = gst_proxy_pad_get_internal(GST_PROXY_PAD(peer));
    linked = ghost && gst_pad_is_linked(GST_PAD(ghost));
    if (ghost) gst_object_unref(ghost);
  }
  gst_object_unref(peer);
  return linked;
}

static GstFlowReturn gst_rgbd_test_demux_chain(GstPad*, GstObject* parent, GstBuffer* frame) {
  GstRgbdTestDemux* self = cast(parent);
  GstFlowReturn flow = GST_FLOW_OK;
  guint memory = 0;
  for (int i = 0; i < kStreams && (flow == GST_FLOW_OK); ++i) {
    GstFlowReturn pad_flow = GST_FLOW_NOT_LINKED;
    if (self->in_frame[i]) {
      GstBuffer* buffer = gst_buffer_new();
      gst_buffer_copy_into(buffer, frame, static_cast<GstBufferCopyFlags>(GST_BUFFER_COPY_METADATA), 0, -1);
      gst_buffer_append_memory(buffer, gst_buffer_get_memory(frame, memory++));
      pad_flow = gst_pad_push(self->src[i], buffer);
    }
    flow = gst_flow_combiner_update_pad_flow(self->flows, self->src[i], pad_flow);
  }
  gst_buffer_unref(frame);
  return flow;
}

/// Each pad gets the caps that the frame's caps hold for it.
static gboolean set_caps(GstRgbdTestDemux* self, const GstCaps* frame_caps) {
  const GstStructure* frame = gst_caps_get_structure(frame_caps, 0);
  gst_flow_combiner_reset(self->flows);
  for (int i = 0; i < kStreams; ++i) {
    const GValue* value = gst_structure_get_value(frame, kStreamNames[i]);
    self->in_frame[i] = value != nullptr;
    if (!value) continue;
    GstCaps* caps = const_cast<GstCaps*>(gst_value_get_caps(value));
    GstCaps* current = gst_pad_get_current_caps(self->src[i]);
    if (!current || !gst_caps_is_equal(current, caps))
      gst_pad_push_event(self->src[i], gst_event_new_caps(caps));
    gst_clear_caps(&current);
  }
  return TRUE;
}

static void start_streams(GstRgbdTestDemux* self, GstEvent* event) {
  // Made from the event, as the pads would not find it by asking upstream while it is on its way.
  const gchar* upstream = nullptr;
  gst_event_parse_stream_start(event, &upstream);
  GstStreamFlags flags = GST_STREAM_FLAG_NONE;
  gst_event_parse_stream_flags(event, &flags);
  guint group = 0;
  const bool has_group = gst_event_parse_group_id(event, &group);
  for (int i = 0; i < kStreams; ++i) {
    gchar* id = g_strdup_printf("%s/%s", upstream, kStreamNames[i]);
    GstEvent* start = gst_event_new_stream_start(id);
    gst_event_set_seqnum(start, gst_event_get_seqnum(event));
    gst_event_set_stream_flags(start, flags);
    if (has_group) gst_event_set_group_id(start, group);
    gst_pad_push_event(self->src[i], start);
    g_free(id);
  }
}

static gboolean gst_rgbd_test_demux_sink_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  GstRgbdTestDemux* self = cast(parent);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_CAPS: {
      GstCaps* caps;
      gst_event_parse_caps(event, &caps);
      const gboolean done = set_caps(self, caps);
      gst_event_unref(event);
      return done;
    }
    case GST_EVENT_STREAM_START:
      start_streams(self, event);
      gst_event_unref(event);
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      gst_flow_combiner_reset(self->flows);
      break;
    default:
      break;
  }
  return gst_pad_event_default(pad, parent, event);
}

static gboolean gst_rgbd_test_demux_src_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  GstRgbdTestDemux* self = cast(parent);
  if (GST_EVENT_TYPE(event) != GST_EVENT_SEEK) return gst_pad_event_default(pad, parent, event);
  const guint32 seqnum = gst_event_get_seqnum(event);
  GST_OBJECT_LOCK(self);
  const bool seen = self->last_seek == seqnum;
  GST_OBJECT_UNLOCK(self);
  if (seen) {
    gst_event_unref(event);
    return TRUE;
  }
  const gboolean done = gst_pad_event_default(pad, parent, event);
  GST_OBJECT_LOCK(self);
  if (done) self->last_seek = seqnum;
  GST_OBJECT_UNLOCK(self);
  return done;
}

/// For the source's negotiation: of each linked stream, what it can be and what its peer takes.
static GstCaps* offers(GstRgbdTestDemux* self) {
  GstCaps* frame = gst_caps_new_empty_simple(rgbd::kFrameCaps);
  for (int i = 0; i < kStreams; ++i) {
    if (!is_linked_outside(self->src[i])) continue;
    GstCaps* ours = gst_pad_get_pad_template_caps(self->src[i]);
    GstCaps* theirs = gst_pad_peer_query_caps(self->src[i], ours);
    GstCaps* both = gst_caps_intersect_full(ours, theirs, GST_CAPS_INTERSECT_FIRST);
    gst_caps_set_simple(frame, kStreamNames[i], GST_TYPE_CAPS, both, nullptr);
    gst_caps_unref(ours);
    gst_caps_unref(theirs);
    gst_caps_unref(both);
  }
  return frame;
}

static gboolean gst_rgbd_test_demux_sink_query(GstPad* pad, GstObject* parent, GstQuery* query) {
  if (GST_QUERY_TYPE(query) != GST_QUERY_CAPS) return gst_pad_query_default(pad, parent, query);
  GstCaps* caps = offers(cast(parent));
  gst_query_set_caps_result(query, caps);
  gst_caps_unref(caps);
  return TRUE;
}

static GstStateChangeReturn gst_rgbd_test_demux_change_state(GstElement* element, GstStateChange transition) {
  GstRgbdTestDemux* self = cast(element);
  const auto result = GST_ELEMENT_CLASS(gst_rgbd_test_demux_parent_class)->change_state(element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    gst_flow_combiner_reset(self->flows);
    self->last_seek = GST_SEQNUM_INVALID;
  }
  return result;
}

static void gst_rgbd_test_demux_finalize(GObject* object) {
  gst_flow_combiner_unref(cast(object)->flows);
  G_OBJECT_CLASS(gst_rgbd_test_demux_parent_class)->finalize(object);
}

static void gst_rgbd_test_demux_init(GstRgbdTestDemux* self) {
  auto* klass = GST_ELEMENT_GET_CLASS(self);
  self->flows = gst_flow_combiner_new();
  self->last_seek = GST_SEQNUM_INVALID;
  self->sink = gst_pad_new_from_template(gst_element_class_get_pad_template(klass, "sink"), "sink");
  GST_PAD_SET_ACCEPT_TEMPLATE(self->sink);
  gst_pad_set_chain_function(self->sink, gst_rgbd_test_demux_chain);
  gst_pad_set_event_function(self->sink, gst_rgbd_test_demux_sink_event);
  gst_pad_set_query_function(self->sink, gst_rgbd_test_demux_sink_query);
  gst_element_add_pad(GST_ELEMENT(self), self->sink);
  for (int i = 0; i < kStreams; ++i) {
    self->src[i] = gst_pad_new_from_template(gst_element_class_get_pad_template(klass, kStreamNames[i]),
                                             kStreamNames[i]);
    gst_pad_set_event_function(self->src[i], gst_rgbd_test_demux_src_event);
    gst_element_add_pad(GST_ELEMENT(self), self->src[i]);
    gst_flow_combiner_add_pad(self->flows, self->src[i]);
  }
}

static void gst_rgbd_test_demux_class_init(GstRgbdTestDemuxClass* klass) {
  auto* element_class = GST_ELEMENT_CLASS(klass);
  G_OBJECT_CLASS(klass)->finalize = gst_rgbd_test_demux_finalize;
  element_class->change_state = gst_rgbd_test_demux_change_state;
  gst_element_class_set_static_metadata(element_class, "RGB-D test frame demuxer", "Codec/Demuxer",
                                        "Splits the frames of rgbdtestsrc", "rgbdrefine");
  auto add = [&](const char* name, GstPadDirection direction, GstCaps* caps) {
    gst_element_class_add_pad_template(element_class,
                                       gst_pad_template_new(name, direction, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
  };
  add("sink", GST_PAD_SINK, gst_caps_new_empty_simple(rgbd::kFrameCaps));
  for (int i = 0; i < kStreams; ++i) add(kStreamNames[i], GST_PAD_SRC, rgbd::stream_template_caps(i));
}
