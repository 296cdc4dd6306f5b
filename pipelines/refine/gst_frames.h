// SPDX-License-Identifier: Apache-2.0
// Frames to GStreamer buffers and caps, and back.
#pragma once

#include <string>

#include "pipelines/refine/frame.h"
#include "pipelines/refine/owned.h"

namespace rgbd {

/// RGB, GRAY16_LE or GRAY16_BE of that size, 30 frames per second.
OwnedCaps video_caps(const char* format, int width, int height);

OwnedBuffer buffer_of(const ColorFrame& frame);
OwnedBuffer buffer_of(const DepthFrame& frame, bool big_endian);

/// A sample of RGB. Throws Failure if it cannot be mapped.
ColorFrame color_frame_of(GstSample* sample);
/// A sample of GRAY16_LE or GRAY16_BE. Throws Failure if it cannot be mapped.
DepthFrame depth_frame_of(GstSample* sample);

/// The sentence of an error or warning message.
std::string text_of(GstMessage* message);

}  // namespace rgbd
