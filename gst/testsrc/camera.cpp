// SPDX-License-Identifier: Apache-2.0
// Puts rendered frames into buffers, see camera.h.
#include "gst/testsrc/camera.h"

#include <cstring>

namespace rgbd {
namespace {

void copy_color(const View& view, const GstVideoInfo& info, guint8* out) {
  const int stride = GST_VIDEO_INFO_PLANE_STRIDE(&info, 0), pixel = GST_VIDEO_INFO_COMP_PSTRIDE(&info, 0);
  const int red = GST_VIDEO_INFO_COMP_OFFSET(&info, 0), green = GST_VIDEO_INFO_COMP_OFFSET(&info, 1);
  const int blue = GST_VIDEO_INFO_COMP_OFFSET(&info, 2);
  const uint8_t* color = view.color.data();
  for (int y = 0; y < view.height; ++y, out += stride) {
    if (GST_VIDEO_INFO_FORMAT(&info) == GST_VIDEO_FORMAT_RGB) {
      std::memcpy(out, color, static_cast<size_t>(view.width) * 3);
      std::memset(out + view.width * 3, 0, static_cast<size_t>(stride - view.width * 3));
      color += static_cast<size_t>(view.width) * 3;
      continue;
    }
    std::memset(out, 255, static_cast<size_t>(stride));
    for (int x = 0; x < view.width; ++x, color += 3) {
      out[x * pixel + red] = color[0];
      out[x * pixel + green] = color[1];
      out[x * pixel + blue] = color[2];
    }
  }
}

void copy_depth(const uint16_t* depth_mm, const GstVideoInfo& info, guint8* out) {
  const int stride = GST_VIDEO_INFO_PLANE_STRIDE(&info, 0), width = info.width;
  for (int y = 0; y < info.height; ++y, out += stride, depth_mm += width) {
    if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
      std::memcpy(out, depth_mm, static_cast<size_t>(width) * 2);
    else
      for (int x = 0; x < width; ++x) GST_WRITE_UINT16_LE(out + 2 * x, depth_mm[x]);
    std::memset(out + 2 * width, 0, static_cast<size_t>(stride - 2 * width));
  }
}

}  // namespace

TestCamera::TestCamera(uint32_t seed, SensorKind sensor, Motion motion)
    : seed_(seed),
      motion_(motion),
      noise_(hash(seed, 0x7115e)),
      scene_(seed),
      renderer_(noise_),
      sensor_(sensor, noise_) {}

const View& TestCamera::view_of(const Snapshot& scene, FieldOfView fov, int width, int height,
                                uint64_t frame) {
  for (int i = 0; i < views_used_; ++i)
    if (views_[i].width == width && views_[i].height == height) return views_[i];
  View& view = views_[views_used_++];
  renderer_.render(scene, fov, width, height, frame, view);
  return view;
}

void TestCamera::render(uint64_t frame, const FrameFormat& format, GstBuffer* buffer) {
  const Snapshot scene = scene_.at(frame, motion_);
  views_used_ = 0;
  std::optional<FieldOfView> fov;  // the first stream's, so that all show the same
  for (int stream = 0; stream < kStreams; ++stream) {
    if (!format.streams[stream]) continue;
    const GstVideoInfo& info = *format.streams[stream];
    if (!fov) fov = field_of_view(info.width, info.height);
    const View& view = view_of(scene, *fov, info.width, info.height, frame);
    GstMemory* memory = gst_allocator_alloc(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
    GstMapInfo map;
    gst_memory_map(memory, &map, GST_MAP_WRITE);
    if (stream == kRgb) {
      copy_color(view, info, map.data);
    } else {
      depth_mm_.resize(view.depth.size());
      if (stream == kDepth)
        sensor_.measure(view, fov->tan_x, seed_, frame, depth_mm_.data());
      else
        write_truth(view, depth_mm_.data());
      copy_depth(depth_mm_.data(), info, map.data);
    }
    gst_memory_unmap(memory, &map);
    gst_buffer_append_memory(buffer, memory);
  }
}

}  // namespace rgbd
