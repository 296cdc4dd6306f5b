// SPDX-License-Identifier: Apache-2.0
// Chooses sizes, framerate and formats that all linked streams can take.
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include <optional>

#include "gst/testsrc/source.h"

namespace rgbd {

struct FrameFormat {
  std::optional<GstVideoInfo> streams[kStreams];  // nothing where the stream is not linked
  int fps_n = 30, fps_d = 1;
};

/// `offers` has the fields of kFrameCaps, each with all caps that go. One size for all streams where one
/// goes, 640x480 and 30/1 where there is a choice. Returns caps like `offers` with one choice each, owned by
/// the caller, and fills `format`; nullptr if there is no framerate or no size for all.
GstCaps* choose_format(const GstStructure* offers, FrameFormat& format);

}  // namespace rgbd
