// SPDX-License-Identifier: Apache-2.0
// Frames in CUDA memory for tests, and whose CUDA context they lie in.
#pragma once

#define GST_USE_UNSTABLE_API  // GStreamer's CUDA library
#include <gst/cuda/cuda-gst.h>
#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudamemory.h>

#include <memory>
#include <string>

#include "tests/gst/refine_rig.h"

namespace rgbd::testing {

inline constexpr int kWidth = 64, kHeight = 48;

/// Caps of colour frames, in CUDA memory or in system memory.
std::string raw(const std::string& format, bool cuda, int width = kWidth, int height = kHeight);

/// Frame n in system memory, like no other frame.
GstBuffer* noise(const std::string& format, int n, int width = kWidth, int height = kHeight);

struct Unref {
  void operator()(gpointer object) const { gst_object_unref(object); }
};
using ContextPtr = std::unique_ptr<GstCudaContext, Unref>;

/// What the pad answers to who looks for a CUDA context.
ContextPtr context_of(GstElement* element, const char* pad);

/// Copies frames into buffers of a pool in CUDA memory.
class Uploader {
 public:
  /// `most` buffers; 0 = as many as are wanted.
  Uploader(GstCudaContext* context, const std::string& format, guint most = 0, int width = kWidth,
           int height = kHeight);
  ~Uploader();
  Uploader(const Uploader&) = delete;

  /// Waits for a buffer, and writes into it at once. Takes `from`.
  GstBuffer* operator()(GstBuffer* from);
  bool has_free_buffer();

 private:
  GstCudaContext* context_;
  GstBufferPool* pool_;
  GstVideoInfo info_;
};

/// Two elements on CUDA in one pipeline have one context.
void expect_one_context_for_two();

}  // namespace rgbd::testing
