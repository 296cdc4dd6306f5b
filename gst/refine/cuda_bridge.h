// SPDX-License-Identifier: Apache-2.0
// Colour frames in CUDA memory, and the CUDA context that the element shares with its neighbours. The one
// file of gst/ that knows CUDA is cuda_bridge.cpp; where GStreamer's CUDA library is missing,
// no_cuda_bridge.cpp stands in its place.
#pragma once

#include <gst/video/video.h>

#include <cstdint>
#include <mutex>

#include "core/rgbd.h"

struct _GstCudaContext;

namespace rgbd::refine {

/// The caps feature of frames in CUDA memory.
inline constexpr char kCudaMemory[] = "memory:CUDAMemory";

inline bool is_cuda_memory(const GstCapsFeatures* features) {
  return features && gst_caps_features_contains(features, kCudaMemory);
}

/// What of the rgb pad's formats GStreamer can keep in CUDA memory; empty: the plugin was built without.
/// Transfer full.
GstCaps* cuda_caps();

/// A colour frame where it lies.
struct ColorFrame {
  ImageView view;
  uint64_t downloaded_bytes = 0;  // that had to go from a device through host memory to be read
};

/// The device's primary context, the one that torch works in, as a GstCudaContext. GStreamer's own elements
/// would each make a private one if no neighbour had one to share; memory of the same context needs no
/// thought. Made when a neighbour asks or a model has been loaded on CUDA, whichever comes first: a pipeline
/// without either has none. Any thread, but for read().
class CudaContext {
 public:
  CudaContext() = default;
  ~CudaContext() { close(); }
  CudaContext(const CudaContext&) = delete;

  /// Makes the context of `device` and tells the pipeline, unless it is there. One that the application or
  /// another element has set on this element is taken if it is the primary one too. Without a driver or a
  /// GPU nothing happens.
  void publish(GstElement* element, int device);
  /// Answers the query if it asks for a CUDA context and there is one for `device`, made now if need be.
  bool answer(GstElement* element, GstQuery* query, int device);
  /// Adds a pool of this context to an ALLOCATION query, if it is for frames in CUDA memory.
  void propose_pool(GstQuery* query);
  /// The frame, for a model on `device`: in place if it lies there, in whatever context, else through host
  /// memory. Throws BadFrame on a buffer that is not what its caps say, Error when the device fails.
  ColorFrame read(GstElement* element, GstBuffer* buffer, const GstVideoInfo& info, int device);
  /// Lets the context go. It lives on for those who still use it.
  void close();

 private:
  _GstCudaContext* context();  // transfer full; may be null
  void say_once(GstElement* element, _GstCudaContext* other, bool same_device);

  std::mutex mutex_;
  _GstCudaContext* context_ = nullptr;
  int device_ = -1;             // of context_
  const void* said_ = nullptr;  // the context that say_once() has spoken of; source task only
};

}  // namespace rgbd::refine
