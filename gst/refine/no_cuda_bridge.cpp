// SPDX-License-Identifier: Apache-2.0
// cuda_bridge.h where the plugin is built without GStreamer's CUDA library.
#include "gst/refine/bridge.h"
#include "gst/refine/cuda_bridge.h"

namespace rgbd::refine {

GstCaps* cuda_caps() {
  return gst_caps_new_empty();
}

void CudaContext::publish(GstElement*, int) {}
bool CudaContext::answer(GstElement*, GstQuery*, int) {
  return false;
}
void CudaContext::propose_pool(GstQuery*) {}
ColorFrame CudaContext::read(GstElement*, GstBuffer*, const GstVideoInfo&, int) {
  throw BadFrame("an rgb buffer lies in CUDA memory, which this build does not read");
}
void CudaContext::close() {}

}  // namespace rgbd::refine
