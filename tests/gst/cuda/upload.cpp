// SPDX-License-Identifier: Apache-2.0
// See upload.h.
#include "tests/gst/cuda/upload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace rgbd::testing {

std::string raw(const std::string& format, bool cuda, int width, int height) {
  return std::string("video/x-raw") + (cuda ? "(memory:CUDAMemory)" : "") + ",format=" + format +
         ",width=" + std::to_string(width) + ",height=" + std::to_string(height) + ",framerate=30/1";
}

GstBuffer* noise(const std::string& format, int n, int width, int height) {
  GstBuffer* buffer = frame_of(raw(format, false, width, height), n);
  std::mt19937 random(static_cast<unsigned>(n));
  std::vector<guint8> bytes(gst_buffer_get_size(buffer));
  for (guint8& byte : bytes) byte = static_cast<guint8>(random());
  gst_buffer_fill(buffer, 0, bytes.data(), bytes.size());
  return buffer;
}

ContextPtr context_of(GstElement* element, const char* pad_name) {
  GstPad* pad = gst_element_get_static_pad(element, pad_name);
  GstQuery* query = gst_query_new_context(GST_CUDA_CONTEXT_TYPE);
  GstCudaContext* cuda = nullptr;
  GstContext* context = nullptr;
  if (gst_pad_query(pad, query)) gst_query_parse_context(query, &context);
  if (context) {
    gst_structure_get(gst_context_get_structure(context), GST_CUDA_CONTEXT_TYPE, GST_TYPE_CUDA_CONTEXT, &cuda,
                      nullptr);
  }
  gst_query_unref(query);
  gst_object_unref(pad);
  return ContextPtr(cuda);
}

Uploader::Uploader(GstCudaContext* context, const std::string& format, guint most, int width, int height)
    : context_(context), pool_(gst_cuda_buffer_pool_new(context)) {
  GstCaps* system = gst_caps_from_string(raw(format, false, width, height).c_str());
  gst_video_info_from_caps(&info_, system);
  gst_caps_unref(system);
  GstCaps* caps = gst_caps_from_string(raw(format, true, width, height).c_str());
  GstStructure* config = gst_buffer_pool_get_config(pool_);
  gst_buffer_pool_config_set_params(config, caps, static_cast<guint>(info_.size), most, most);
  EXPECT_TRUE(gst_buffer_pool_set_config(pool_, config));
  EXPECT_TRUE(gst_buffer_pool_set_active(pool_, TRUE));
  gst_caps_unref(caps);
}

Uploader::~Uploader() {
  gst_buffer_pool_set_active(pool_, FALSE);
  gst_object_unref(pool_);
}

bool Uploader::has_free_buffer() {
  GstBufferPoolAcquireParams params{};
  params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
  GstBuffer* buffer = nullptr;
  if (gst_buffer_pool_acquire_buffer(pool_, &buffer, &params) != GST_FLOW_OK) return false;
  gst_buffer_unref(buffer);
  return true;
}

GstBuffer* Uploader::operator()(GstBuffer* from) {
  GstBuffer* to = nullptr;
  EXPECT_EQ(gst_buffer_pool_acquire_buffer(pool_, &to, nullptr), GST_FLOW_OK);
  GstVideoFrame source, target;
  EXPECT_TRUE(gst_video_frame_map(&source, &info_, from, GST_MAP_READ));
  EXPECT_TRUE(
      gst_video_frame_map(&target, &info_, to, static_cast<GstMapFlags>(GST_MAP_WRITE | GST_MAP_CUDA)));
  EXPECT_TRUE(gst_cuda_context_push(context_));
  for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&source); ++plane) {
    gint components[GST_VIDEO_MAX_COMPONENTS];
    gst_video_format_info_component(info_.finfo, plane, components);
    CUDA_MEMCPY2D copy{};
    copy.srcMemoryType = CU_MEMORYTYPE_HOST;
    copy.srcHost = GST_VIDEO_FRAME_PLANE_DATA(&source, plane);
    copy.srcPitch = static_cast<size_t>(GST_VIDEO_FRAME_PLANE_STRIDE(&source, plane));
    copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.dstDevice = reinterpret_cast<CUdeviceptr>(GST_VIDEO_FRAME_PLANE_DATA(&target, plane));
    copy.dstPitch = static_cast<size_t>(GST_VIDEO_FRAME_PLANE_STRIDE(&target, plane));
    copy.WidthInBytes = std::min(copy.srcPitch, copy.dstPitch);
    copy.Height = static_cast<size_t>(GST_VIDEO_FRAME_COMP_HEIGHT(&source, components[0]));
    EXPECT_EQ(CuMemcpy2D(&copy), CUDA_SUCCESS);
  }
  gst_cuda_context_pop(nullptr);
  gst_video_frame_unmap(&target);
  gst_video_frame_unmap(&source);
  GST_BUFFER_PTS(to) = GST_BUFFER_PTS(from);
  GST_BUFFER_DURATION(to) = GST_BUFFER_DURATION(from);
  gst_buffer_unref(from);
  return to;
}

void expect_one_context_for_two() {
  GstElement* pipeline = gst_parse_launch(
      "rgbdrefine name=a device=cuda ! fakesink rgbdrefine name=b device=cuda ! fakesink", nullptr);
  ASSERT_NE(pipeline, nullptr);
  gst_element_set_state(pipeline, GST_STATE_READY);
  GstElement* a = gst_bin_get_by_name(GST_BIN(pipeline), "a");
  GstElement* b = gst_bin_get_by_name(GST_BIN(pipeline), "b");
  {
    ContextPtr first = context_of(a, "rgb"), second = context_of(b, "rgb");
    EXPECT_TRUE(first);
    EXPECT_EQ(first.get(), second.get());
  }
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(a);
  gst_object_unref(b);
  gst_object_unref(pipeline);
}

}  // namespace rgbd::testing
