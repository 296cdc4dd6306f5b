// SPDX-License-Identifier: Apache-2.0
// rgbdtestsrc: a bin of the private source and demuxer with ghost pads rgb, depth and truth.
/**
 * SECTION:element-rgbdtestsrc
 * @short_description: a moving generated room, as an RGB-D camera sees it
 *
 * Pad rgb is the picture, depth what the chosen kind of depth camera would measure, truth the exact depth;
 * both are GRAY16_LE in millimetres, 0 = no depth. Link any of them; what is not linked is not made. As with
 * any demuxer, each linked pad needs a queue of its own behind it. Sizes and framerate are what downstream
 * asks for, 640x480 at 30/1 if it does not care, the same for all pads where that is possible. The same seed,
 * frame number, size, sensor and motion give the same bytes on every machine, so a seek brings the same frame
 * again. Things move 1/30 s per frame at any framerate.
 *
 *     gst-launch-1.0 rgbdtestsrc name=s  s.rgb ! queue ! videoconvert ! autovideosink
 *     gst-launch-1.0 rgbdtestsrc name=s sensor=tof  s.rgb ! queue ! videoconvert ! autovideosink \
 *         s.depth ! queue ! depthcolorize ! videoconvert ! autovideosink
 *     gst-launch-1.0 rgbdtestsrc name=s num-buffers=1 seed=3  s.rgb ! queue ! pngenc ! filesink
 * location=room.png
 */
#include "gst/plugin.h"
#include "gst/testsrc/source.h"

struct GstRgbdTestSrc {
  GstBin parent;
  GstElement* source;  // owned by the bin
};
struct GstRgbdTestSrcClass {
  GstBinClass parent;
};
G_DEFINE_TYPE(GstRgbdTestSrc, gst_rgbd_test_src, GST_TYPE_BIN)
static GstRgbdTestSrc* cast(gpointer object) {
  return static_cast<GstRgbdTestSrc*>(object);
}

static void gst_rgbd_test_src_set_property(GObject* object, guint, const GValue* value, GParamSpec* spec) {
  g_object_set_property(G_OBJECT(cast(object)->source), g_param_spec_get_name(spec), value);
}

static void gst_rgbd_test_src_get_property(GObject* object, guint, GValue* value, GParamSpec* spec) {
  g_object_get_property(G_OBJECT(cast(object)->source), g_param_spec_get_name(spec), value);
}

static void gst_rgbd_test_src_init(GstRgbdTestSrc* self) {
  auto make = [](GType type, const char* name) {
    return GST_ELEMENT(g_object_new(type, "name", name, nullptr));
  };
  self->source = make(gst_rgbd_test_source_get_type(), "source");
  GstElement* demux = make(gst_rgbd_test_demux_get_type(), "demux");
  gst_bin_add_many(GST_BIN(self), self->source, demux, nullptr);
  gst_element_link(self->source, demux);
  for (const char* name : rgbd::kStreamNames) {
    GstPad* target = gst_element_get_static_pad(demux, name);
    GstPadTemplate* pad_template = gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(self), name);
    gst_element_add_pad(GST_ELEMENT(self), gst_ghost_pad_new_from_template(name, target, pad_template));
    gst_object_unref(target);
  }
}

static void gst_rgbd_test_src_class_init(GstRgbdTestSrcClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_rgbd_test_src_set_property;
  object_class->get_property = gst_rgbd_test_src_get_property;
  rgbd::install_source_properties(object_class);
  gst_type_mark_as_plugin_api(rgbd::sensor_type(), static_cast<GstPluginAPIFlags>(0));
  gst_type_mark_as_plugin_api(rgbd::motion_type(), static_cast<GstPluginAPIFlags>(0));
  auto* element_class = GST_ELEMENT_CLASS(klass);
  gst_element_class_set_static_metadata(element_class, "RGB-D test source", "Source/Video",
                                        "Generates colour, noisy depth and true depth of a moving room",
                                        "rgbdrefine");
  for (int i = 0; i < rgbd::kStreams; ++i) {
    GstCaps* caps = rgbd::stream_template_caps(i);
    gst_element_class_add_pad_template(
        element_class, gst_pad_template_new(rgbd::kStreamNames[i], GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
  }
}

gboolean gst_rgbd_test_src_register(GstPlugin* plugin) {
  return gst_element_register(plugin, "rgbdtestsrc", GST_RANK_NONE, gst_rgbd_test_src_get_type());
}
