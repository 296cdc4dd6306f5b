// SPDX-License-Identifier: Apache-2.0
// Fixation of the src caps, see src_caps.h. GstAggregator's own makes 320x480 out of a pinned width of 320.
#include "gst/refine/src_caps.h"

#include <cstdlib>
#include <memory>

#include "gst/plugin.h"

namespace rgbd::refine {
namespace {

struct CapsUnref {
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
};
using CapsPtr = std::unique_ptr<GstCaps, CapsUnref>;

/// Whether the field takes this value (a missing field takes any).
bool takes_int(const GstStructure* s, const char* field, int value) {
  const GValue* allowed = gst_structure_get_value(s, field);
  if (!allowed) return true;
  GValue wanted = G_VALUE_INIT;
  g_value_init(&wanted, G_TYPE_INT);
  g_value_set_int(&wanted, value);
  bool takes = gst_value_intersect(nullptr, allowed, &wanted);
  g_value_unset(&wanted);
  return takes;
}

int nearest_int(const GstStructure* s, const char* field, int value) {
  GstStructure* copy = gst_structure_copy(s);
  int nearest = value;
  if (gst_structure_has_field(copy, field)) {
    gst_structure_fixate_field_nearest_int(copy, field, value);
    gst_structure_get_int(copy, field, &nearest);
  }
  gst_structure_free(copy);
  return nearest;
}

struct Fit {
  int width = 0, height = 0;
  gint64 distance = 0;  // from the colour frame's size, in pixels of side
};

struct Ratio {
  int num = 1, denom = 1;
};

/// Width by height, in pixels, that keeps the display aspect under the pixel aspect ratio that `s` allows.
Ratio storage_aspect(const GstStructure* s, const GstVideoInfo& rgb) {
  Ratio pixel{GST_VIDEO_INFO_PAR_N(&rgb), GST_VIDEO_INFO_PAR_D(&rgb)}, aspect;
  if (gst_structure_has_field(s, "pixel-aspect-ratio")) {
    GstStructure* copy = gst_structure_copy(s);
    gst_structure_fixate_field_nearest_fraction(copy, "pixel-aspect-ratio", pixel.num, pixel.denom);
    gst_structure_get_fraction(copy, "pixel-aspect-ratio", &pixel.num, &pixel.denom);
    gst_structure_free(copy);
  }
  if (!gst_util_fraction_multiply(GST_VIDEO_INFO_WIDTH(&rgb), GST_VIDEO_INFO_HEIGHT(&rgb),
                                  GST_VIDEO_INFO_PAR_N(&rgb), GST_VIDEO_INFO_PAR_D(&rgb), &aspect.num,
                                  &aspect.denom) ||
      !gst_util_fraction_multiply(aspect.num, aspect.denom, pixel.denom, pixel.num, &aspect.num,
                                  &aspect.denom)) {
    return {GST_VIDEO_INFO_WIDTH(&rgb), GST_VIDEO_INFO_HEIGHT(&rgb)};
  }
  return aspect;
}

int scaled(int value, int num, int denom) {
  guint64 result = gst_util_uint64_scale_int_round(static_cast<guint64>(value), num, denom);
  return static_cast<int>(CLAMP(result, 1, guint64{G_MAXINT}));
}

/// The nearest size that the structure allows. Display aspect decides the side that is not given.
Fit fit_size(const GstStructure* s, const GstVideoInfo& rgb) {
  int w = GST_VIDEO_INFO_WIDTH(&rgb), h = GST_VIDEO_INFO_HEIGHT(&rgb);
  Ratio aspect = storage_aspect(s, rgb);
  bool width_fits = takes_int(s, "width", w), height_fits = takes_int(s, "height", h);
  Fit fit{w, h, 0};
  if (!width_fits) {
    fit.width = nearest_int(s, "width", w);
    fit.height = nearest_int(s, "height", scaled(fit.width, aspect.denom, aspect.num));
    // Where the height is bounded too, the width follows it as far as it may.
    fit.width = nearest_int(s, "width", scaled(fit.height, aspect.num, aspect.denom));
  } else if (!height_fits) {
    fit.height = nearest_int(s, "height", h);
    fit.width = nearest_int(s, "width", scaled(fit.height, aspect.num, aspect.denom));
  }
  fit.distance = std::abs(gint64{fit.width} - w) + std::abs(gint64{fit.height} - h);
  return fit;
}

/// The pixel aspect ratio that shows `fit` as wide as the colour frame is shown.
void set_pixel_aspect(GstStructure* s, const Fit& fit, const GstVideoInfo& rgb) {
  gint num = 1, denom = 1;
  // (w * par_n / par_d) / h = (w' * n / d) / h'
  if (!gst_util_fraction_multiply(GST_VIDEO_INFO_WIDTH(&rgb), GST_VIDEO_INFO_HEIGHT(&rgb), fit.height,
                                  fit.width, &num, &denom) ||
      !gst_util_fraction_multiply(num, denom, GST_VIDEO_INFO_PAR_N(&rgb), GST_VIDEO_INFO_PAR_D(&rgb), &num,
                                  &denom)) {
    num = denom = 1;
  }
  if (gst_structure_has_field(s, "pixel-aspect-ratio")) {
    gst_structure_fixate_field_nearest_fraction(s, "pixel-aspect-ratio", num, denom);
  } else {
    gst_structure_set(s, "pixel-aspect-ratio", GST_TYPE_FRACTION, num, denom, nullptr);
  }
}

}  // namespace

GstCaps* choose_src_caps(const GstVideoInfo& rgb, double metres_per_step, GstCaps* allowed) {
  GstCaps* fitting = gst_caps_new_empty();
  Fit best;
  for (const char* format : {"GRAY16_LE", "GRAY16_BE"}) {
    CapsPtr wanted(gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, format, "framerate",
                                       GST_TYPE_FRACTION, GST_VIDEO_INFO_FPS_N(&rgb),
                                       GST_VIDEO_INFO_FPS_D(&rgb), nullptr));
    CapsPtr possible(gst_caps_intersect_full(allowed, wanted.get(), GST_CAPS_INTERSECT_FIRST));
    for (guint i = 0; i < gst_caps_get_size(possible.get()); ++i) {
      const GstStructure* s = gst_caps_get_structure(possible.get(), i);
      Fit fit = fit_size(s, rgb);
      if (!gst_caps_is_empty(fitting) && fit.distance >= best.distance) continue;
      best = fit;
      GstStructure* chosen = gst_structure_copy(s);
      gst_structure_set(chosen, "width", G_TYPE_INT, fit.width, "height", G_TYPE_INT, fit.height, nullptr);
      set_pixel_aspect(chosen, fit, rgb);
      if (gst_structure_has_field(chosen, RGBD_CAPS_DEPTH_UNIT)) {
        gst_structure_fixate_field_nearest_double(chosen, RGBD_CAPS_DEPTH_UNIT, metres_per_step);
      } else {
        gst_structure_set(chosen, RGBD_CAPS_DEPTH_UNIT, G_TYPE_DOUBLE, metres_per_step, nullptr);
      }
      gst_structure_remove_field(chosen, "max-framerate");
      gst_caps_unref(fitting);
      fitting = gst_caps_new_full(chosen, nullptr);
    }
  }
  return gst_caps_is_empty(fitting) ? fitting : gst_caps_fixate(fitting);
}

}  // namespace rgbd::refine
