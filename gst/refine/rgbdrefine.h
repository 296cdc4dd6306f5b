// SPDX-License-Identifier: Apache-2.0
// The GObject of rgbdrefine: plain C, everything else behind one pointer (state.h).
#pragma once

#include <gst/base/gstaggregator.h>

namespace rgbd::refine {
struct State;
}

struct GstRgbdRefine {
  GstAggregator parent;
  GstAggregatorPad* pads[2];  // sink pads by rgbd::refine::InputIndex; owned by the element
  rgbd::refine::State* state;
};
struct GstRgbdRefineClass {
  GstAggregatorClass parent_class;
};

GType gst_rgbd_refine_get_type();
#define GST_RGBD_REFINE(object) reinterpret_cast<GstRgbdRefine*>(object)
