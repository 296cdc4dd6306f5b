// SPDX-License-Identifier: Apache-2.0
// Negotiation of rgbdtestsrc's three streams, see negotiate.h.
#include "gst/testsrc/negotiate.h"

#include "gst/plugin.h"

namespace rgbd {
namespace {

constexpr int kDefaultWidth = 640, kDefaultHeight = 480, kDefaultFps = 30;

const GstCaps* stream_caps(const GstStructure* frame, int stream) {
  const GValue* value = gst_structure_get_value(frame, kStreamNames[stream]);
  return value ? gst_value_get_caps(value) : nullptr;
}

/// The caps with nothing but the fields named; a field that is missing could be anything.
GstCaps* only(const GstCaps* caps, bool size, bool framerate) {
  GstCaps* result = gst_caps_new_empty();
  for (guint i = 0; i < gst_caps_get_size(caps); ++i) {
    const GstStructure* from = gst_caps_get_structure(caps, i);
    GstStructure* to = gst_structure_new_empty("video/x-raw");
    for (const char* field : {"width", "height", "framerate"}) {
      const GValue* value = gst_structure_get_value(from, field);
      if (value && (field[0] == 'f' ? framerate : size)) gst_structure_set_value(to, field, value);
    }
    gst_caps_append_structure(result, to);
  }
  return result;
}

/// What all linked streams have in common.
GstCaps* common(const GstStructure* offers, bool size) {
  GstCaps* result = gst_caps_new_any();
  for (int stream = 0; stream < kStreams; ++stream) {
    const GstCaps* caps = stream_caps(offers, stream);
    if (!caps) continue;
    GstCaps* part = only(caps, size, true);
    GstCaps* both = gst_caps_intersect_full(result, part, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref(part);
    gst_caps_unref(result);
    result = both;
  }
  return result;
}

/// The first structure, with the wanted size and rate where they go. Takes `caps`.
GstCaps* fixate(GstCaps* caps, int width, int height, int fps_n, int fps_d) {
  caps = gst_caps_make_writable(gst_caps_truncate(caps));
  GstStructure* structure = gst_caps_get_structure(caps, 0);
  gst_structure_fixate_field_nearest_int(structure, "width", width);
  gst_structure_fixate_field_nearest_int(structure, "height", height);
  gst_structure_fixate_field_nearest_fraction(structure, "framerate", fps_n, fps_d);
  if (gst_structure_has_field(structure, "pixel-aspect-ratio"))
    gst_structure_fixate_field_nearest_fraction(structure, "pixel-aspect-ratio", 1, 1);
  else
    gst_structure_set(structure, "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1, nullptr);
  return gst_caps_fixate(caps);
}

}  // namespace

GstCaps* choose_format(const GstStructure* offers, FrameFormat& format) {
  format = {};
  GstCaps* shared = common(offers, true);
  const bool one_size = !gst_caps_is_empty(shared);
  if (!one_size) {  // no size for all: each its own, at one framerate
    gst_caps_unref(shared);
    shared = common(offers, false);
  }
  if (gst_caps_is_empty(shared)) {
    gst_caps_unref(shared);
    return nullptr;
  }
  int width = kDefaultWidth, height = kDefaultHeight;
  if (!gst_caps_is_any(shared)) {
    shared = gst_caps_make_writable(gst_caps_truncate(shared));
    GstStructure* structure = gst_caps_get_structure(shared, 0);
    if (one_size) {
      gst_structure_fixate_field_nearest_int(structure, "width", width);
      gst_structure_fixate_field_nearest_int(structure, "height", height);
    }
    gst_structure_fixate_field_nearest_fraction(structure, "framerate", kDefaultFps, 1);
    gst_structure_get_int(structure, "width", &width);
    gst_structure_get_int(structure, "height", &height);
    gst_structure_get_fraction(structure, "framerate", &format.fps_n, &format.fps_d);
  }

  GstCaps* chosen = gst_caps_new_empty_simple(kFrameCaps);
  for (int stream = 0; chosen && stream < kStreams; ++stream) {
    const GstCaps* offer = stream_caps(offers, stream);
    if (!offer) continue;
    GstCaps* caps = gst_caps_intersect_full(const_cast<GstCaps*>(offer), shared, GST_CAPS_INTERSECT_FIRST);
    GstVideoInfo info;
    if (!gst_caps_is_empty(caps)) caps = fixate(caps, width, height, format.fps_n, format.fps_d);
    if (gst_caps_is_empty(caps) || !gst_video_info_from_caps(&info, caps)) {
      gst_clear_caps(&chosen);
    } else {
      format.streams[stream] = info;
      if (stream == kRgb) width = info.width, height = info.height;  // the others follow where they can
      gst_caps_set_simple(chosen, kStreamNames[stream], GST_TYPE_CAPS, caps, nullptr);
    }
    gst_caps_unref(caps);
  }
  gst_caps_unref(shared);
  return chosen;
}

GstCaps* stream_template_caps(int stream) {
  constexpr char kSizes[] = ",width=[16,8192],height=[16,8192],framerate=[1/2147483647,2147483647/1]";
  gchar* text =
      stream == kRgb
          ? g_strdup_printf("video/x-raw,format={RGB,BGR,RGBx,BGRx,xRGB,xBGR,RGBA,BGRA,ARGB,ABGR}%s", kSizes)
          : g_strdup_printf("video/x-raw,format=GRAY16_LE%s," RGBD_CAPS_DEPTH_UNIT "=(double)0.001", kSizes);
  GstCaps* caps = gst_caps_from_string(text);
  g_free(text);
  return caps;
}

}  // namespace rgbd
