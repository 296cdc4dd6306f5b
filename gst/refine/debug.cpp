// SPDX-License-Identifier: Apache-2.0
#include "gst/refine/debug.h"

GST_DEBUG_CATEGORY(rgbd_refine_debug);
GST_DEBUG_CATEGORY(rgbd_refine_caps_debug);
GST_DEBUG_CATEGORY(rgbd_refine_model_debug);
GST_DEBUG_CATEGORY(rgbd_refine_pair_debug);
GST_DEBUG_CATEGORY(rgbd_refine_infer_debug);
GST_DEBUG_CATEGORY(rgbd_refine_live_debug);
GST_DEBUG_CATEGORY(rgbd_refine_flush_debug);

void rgbd::refine::init_debug_categories() {
  GST_DEBUG_CATEGORY_INIT(rgbd_refine_debug, "rgbdrefine", 0, "RGB-D depth refiner");
  GST_DEBUG_CATEGORY_INIT(rgbd_refine_caps_debug, "rgbdrefine-caps", 0, "rgbdrefine: negotiation");
  GST_DEBUG_CATEGORY_INIT(rgbd_refine_model_debug, "rgbdrefine-model", 0, "rgbdrefine: the model's life");
  GST_DEBUG_CATEGORY_INIT(rgbd_refine_pair_debug, "rgbdrefine-pair", 0, "rgbdrefine: pairing and drops");
  GST_DEBUG_CATEGORY_INIT(rgbd_refine_infer_debug, "rgbdrefine-infer", 0, "rgbdrefine: inference");
  GST_DEBUG_CATEGORY_INIT(rgbd_refine_live_debug, "rgbdrefine-live", 0, "rgbdrefine: latency and QoS");
  GST_DEBUG_CATEGORY_INIT(rgbd_refine_flush_debug, "rgbdrefine-flush", 0, "rgbdrefine: flushes and seeks");
}
