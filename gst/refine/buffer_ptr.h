// SPDX-License-Identifier: Apache-2.0
// A reference on a GstBuffer that lets go of itself.
#pragma once

#include <gst/gst.h>

#include <memory>

namespace rgbd::refine {

struct BufferUnref {
  void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
};
using BufferPtr = std::unique_ptr<GstBuffer, BufferUnref>;

}  // namespace rgbd::refine
