// SPDX-License-Identifier: Apache-2.0
// unique_ptr for what GLib and GStreamer hand out: each type with the call that gives it back.
#pragma once

#include <gio/gio.h>
#include <gst/gst.h>

#include <memory>

namespace rgbd {

struct GiveBack {
  void operator()(gchar* text) const { g_free(text); }
  void operator()(GError* error) const { g_error_free(error); }
  void operator()(GOptionContext* context) const { g_option_context_free(context); }
  void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
  void operator()(GstBus* bus) const { gst_object_unref(bus); }
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
  void operator()(GstElement* element) const { gst_object_unref(element); }
  void operator()(GstMessage* message) const { gst_message_unref(message); }
  void operator()(GstSample* sample) const { gst_sample_unref(sample); }
  void operator()(GZlibDecompressor* zlib) const { g_object_unref(zlib); }
  void operator()(GstStructure* structure) const { gst_structure_free(structure); }
};

/// A pipeline is stopped before it goes: GStreamer demands it, and its threads may still be at work.
struct StopAndGiveBack {
  void operator()(GstElement* pipeline) const {
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
  }
};

template <typename T>
using Owned = std::unique_ptr<T, GiveBack>;

using OwnedBuffer = Owned<GstBuffer>;
using OwnedCaps = Owned<GstCaps>;
using OwnedElement = Owned<GstElement>;
using OwnedError = Owned<GError>;
using OwnedMessage = Owned<GstMessage>;
using OwnedPipeline = std::unique_ptr<GstElement, StopAndGiveBack>;
using OwnedSample = Owned<GstSample>;

}  // namespace rgbd
