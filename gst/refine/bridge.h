// SPDX-License-Identifier: Apache-2.0
// GStreamer buffers as the views that the core takes, pixels in place. What CUDA memory needs beside:
// cuda_bridge.h.
#pragma once

#include <gst/video/video.h>

#include <memory>
#include <stdexcept>

#include "core/rgbd.h"

namespace rgbd::refine {

/// A buffer that contradicts its caps: too short, or a stride that disagrees. what() is for the user.
struct BadFrame : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A mapped buffer. The engine may hold it after a cancelled pair, so it unmaps on whatever thread drops it.
class MappedFrame {
 public:
  /// Takes a reference on `buffer`. `flags` are GstMapFlags, and others that lie beyond that enumeration.
  /// Throws BadFrame, with `name` in its text.
  MappedFrame(GstBuffer* buffer, const GstVideoInfo& info, int flags, const char* name);
  ~MappedFrame() { unmap(); }
  MappedFrame(const MappedFrame&) = delete;
  MappedFrame& operator=(const MappedFrame&) = delete;

  /// Before pushing a buffer that the engine has written: the engine's own reference to this may live longer.
  void unmap();
  const GstVideoFrame& frame() const { return frame_; }

 private:
  GstVideoFrame frame_{};
  bool mapped_ = false;
};

/// Formats of the rgb pad. kUnsupported cannot happen behind the pad's template.
PixelFormat pixel_format(GstVideoFormat format);

ImageView image_view(const std::shared_ptr<MappedFrame>& frame);
DepthView depth_view(const std::shared_ptr<MappedFrame>& frame, double metres_per_step, double min_depth_m,
                     double max_depth_m);
DepthOut depth_out(const std::shared_ptr<MappedFrame>& frame, double metres_per_step);

/// Copies flags, timestamps and what metas fit a frame of other size and format from the colour buffer.
void copy_metadata(GstBuffer* from, const GstVideoInfo& from_info, GstBuffer* to,
                   const GstVideoInfo& to_info);

}  // namespace rgbd::refine
