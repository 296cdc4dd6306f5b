// SPDX-License-Identifier: Apache-2.0
// The elements of the plugin; each is registered from its own folder.
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS
gboolean gst_rgbd_refine_register(GstPlugin* plugin);     // refine/
gboolean gst_rgbd_test_src_register(GstPlugin* plugin);   // testsrc/
gboolean gst_depth_colorize_register(GstPlugin* plugin);  // colorize/
G_END_DECLS

/// The caps field, on src and depth caps, that says how many metres one step is (double).
#define RGBD_CAPS_DEPTH_UNIT "depth-unit"
/// Metres per step where nobody says otherwise: millimetres.
#define RGBD_DEFAULT_DEPTH_UNIT 0.001
