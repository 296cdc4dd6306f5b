// SPDX-License-Identifier: Apache-2.0
// Registers the elements. Opens no library: gst-inspect-1.0 must work where torch is missing.
#include "gst/plugin.h"

static gboolean plugin_init(GstPlugin* plugin) {
  return gst_rgbd_refine_register(plugin) && gst_rgbd_test_src_register(plugin) &&
         gst_depth_colorize_register(plugin);
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, rgbd, "Refines the depth of RGB-D cameras",
                  plugin_init, RGBD_VERSION, "Apache 2.0", "rgbdrefine", "Unknown package origin")
