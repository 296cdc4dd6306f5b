// SPDX-License-Identifier: Apache-2.0
// One debug category a stage; GST_DEBUG=rgbdrefine*:6 shows them all. A source file that logs defines
// GST_CAT_DEFAULT as its stage's.
#pragma once

#include <gst/gst.h>

GST_DEBUG_CATEGORY_EXTERN(rgbd_refine_debug);        // rgbdrefine: the element and its properties
GST_DEBUG_CATEGORY_EXTERN(rgbd_refine_caps_debug);   // rgbdrefine-caps: formats, sizes, units
GST_DEBUG_CATEGORY_EXTERN(rgbd_refine_model_debug);  // rgbdrefine-model: loading, warming up, exchanging
GST_DEBUG_CATEGORY_EXTERN(
    rgbd_refine_pair_debug);  // rgbdrefine-pair: what is paired, and what is dropped why
GST_DEBUG_CATEGORY_EXTERN(rgbd_refine_infer_debug);  // rgbdrefine-infer: each pair's inference, bad frames
GST_DEBUG_CATEGORY_EXTERN(rgbd_refine_live_debug);   // rgbdrefine-live: latency and quality of service
GST_DEBUG_CATEGORY_EXTERN(rgbd_refine_flush_debug);  // rgbdrefine-flush: flushes and seeks

namespace rgbd::refine {
void init_debug_categories();
}
