// SPDX-License-Identifier: Apache-2.0
// rgbdrefine: the GObject, its pads and states. What it does with frames is in aggregate.cpp and output.cpp.
/**
 * SECTION:element-rgbdrefine
 * @short_description: turns colour and noisy depth of one camera into clean metric depth
 *
 * Takes the colour stream of an RGB-D camera on the pad `rgb` and its 16-bit depth, aligned with the colour,
 * on `depth`, and puts out refined depth of the colour frames' size, rate and timestamps on `src`. Pairs are
 * found by running time; 0 is no depth; the caps field `depth-unit` says how many metres a step is.
 * A colour frame needs at least 14 pixels a side, although the caps of `rgb` begin at 1. It may lie in CUDA
 * memory while the model runs on CUDA.
 *
 * Sources that push both streams from one thread in strict turn need no queues; all others need one per pad.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 rgbdtestsrc name=s num-buffers=90  rgbdrefine name=r ! depthcolorize ! videoconvert !
 * autovideosink s.rgb ! queue ! r.rgb  s.depth ! queue ! r.depth
 * ]|
 */
#include "gst/refine/rgbdrefine.h"

#include "gst/refine/core_library.h"
#include "gst/refine/errors.h"
#include "gst/refine/state.h"

namespace refine = rgbd::refine;

// Frames in CUDA memory, where there is such a thing, are the first choice: see sink_caps().
static constexpr char kRgbCaps[] =
    GST_VIDEO_CAPS_MAKE("{ RGB, BGR, RGBx, BGRx, xRGB, xBGR, RGBA, BGRA, ARGB, ABGR, NV12, I420, YUY2 }");
static constexpr char kDepthCaps[] = GST_VIDEO_CAPS_MAKE("{ GRAY16_LE, GRAY16_BE }");

static GstStaticPadTemplate depth_template =
    GST_STATIC_PAD_TEMPLATE("depth", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(kDepthCaps));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(kDepthCaps));

G_DEFINE_TYPE(GstRgbdRefine, gst_rgbd_refine, GST_TYPE_AGGREGATOR)

static GstStateChangeReturn gst_rgbd_refine_change_state(GstElement* element, GstStateChange transition) {
  refine::State& state = *GST_RGBD_REFINE(element)->state;
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !state.runtime) {
    bool opened = refine::guarded<bool>(element, "opening the core library", false, [&] {
      state.runtime = refine::core_library();
      return true;
    });
    if (!opened) return GST_STATE_CHANGE_FAILURE;
  }
  GstStateChangeReturn result =
      GST_ELEMENT_CLASS(gst_rgbd_refine_parent_class)->change_state(element, transition);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL) state.cuda.close();
  return result;
}

static void gst_rgbd_refine_finalize(GObject* object) {
  delete GST_RGBD_REFINE(object)->state;
  G_OBJECT_CLASS(gst_rgbd_refine_parent_class)->finalize(object);
}

static void gst_rgbd_refine_class_init(GstRgbdRefineClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  auto* aggregator_class = GST_AGGREGATOR_CLASS(klass);

  object_class->finalize = gst_rgbd_refine_finalize;
  refine::install_properties(object_class);

  element_class->change_state = gst_rgbd_refine_change_state;
  GstCaps* rgb_caps = refine::cuda_caps();
  gst_caps_append(rgb_caps, gst_caps_from_string(kRgbCaps));
  gst_element_class_add_pad_template(
      element_class, gst_pad_template_new_with_gtype("rgb", GST_PAD_SINK, GST_PAD_ALWAYS, rgb_caps,
                                                     GST_TYPE_AGGREGATOR_PAD));
  gst_caps_unref(rgb_caps);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &depth_template,
                                                       GST_TYPE_AGGREGATOR_PAD);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &src_template, GST_TYPE_AGGREGATOR_PAD);
  gst_element_class_set_static_metadata(element_class, "RGB-D depth refiner", "Filter/Effect/Video",
                                        "Turns a camera's colour and noisy depth into clean metric depth",
                                        "rgbdrefine");

  aggregator_class->start = refine::start;
  aggregator_class->stop = refine::stop;
  aggregator_class->update_src_caps = refine::update_src_caps;
  aggregator_class->negotiated_src_caps = refine::negotiated_src_caps;
  aggregator_class->decide_allocation = refine::decide_allocation;
  aggregator_class->propose_allocation = refine::propose_allocation;
  aggregator_class->sink_event = refine::sink_event;
  aggregator_class->sink_event_pre_queue = refine::sink_event_pre_queue;
  aggregator_class->sink_query = refine::sink_query;
  aggregator_class->src_event = refine::src_event;
  aggregator_class->src_query = refine::src_query;
  aggregator_class->src_activate = refine::src_activate;
  aggregator_class->flush = refine::flush;
  aggregator_class->clip = refine::clip;
  aggregator_class->get_next_time = refine::get_next_time;
  aggregator_class->aggregate = refine::aggregate;
}

static void gst_rgbd_refine_init(GstRgbdRefine* self) {
  self->state = new refine::State;
  const char* names[] = {"rgb", "depth"};
  for (auto index : {refine::kRgb, refine::kDepth}) {
    GstPadTemplate* pad_template =
        gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(self), names[index]);
    self->pads[index] =
        GST_AGGREGATOR_PAD(g_object_new(GST_TYPE_AGGREGATOR_PAD, "name", names[index], "direction",
                                        GST_PAD_SINK, "template", pad_template, nullptr));
    // Caps may leave out what the template bounds, as the framerate.
    GST_PAD_SET_ACCEPT_INTERSECT(self->pads[index]);
    gst_element_add_pad(GST_ELEMENT(self), GST_PAD(self->pads[index]));
  }
}

gboolean gst_rgbd_refine_register(GstPlugin* plugin) {
  static const char* no_tags[] = {nullptr};
  refine::init_debug_categories();
  gst_meta_register_custom(refine::kSkipMeta, no_tags, nullptr, nullptr, nullptr);
  return gst_element_register(plugin, "rgbdrefine", GST_RANK_NONE, gst_rgbd_refine_get_type());
}
