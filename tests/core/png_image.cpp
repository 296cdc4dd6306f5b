// SPDX-License-Identifier: Apache-2.0
#include "tests/core/png_image.h"

#include <gst/app/gstappsink.h>
#include <gst/video/video.h>

#include <memory>
#include <stdexcept>

namespace rgbd::test {
namespace {

/// A decoded frame, mapped for reading.
struct Picture {
  GstSample* sample = nullptr;
  GstVideoFrame frame{};
  bool mapped = false;
  ~Picture() {
    if (mapped) gst_video_frame_unmap(&frame);
    if (sample) gst_sample_unref(sample);
  }
  int width() const { return GST_VIDEO_FRAME_WIDTH(&frame); }
  int height() const { return GST_VIDEO_FRAME_HEIGHT(&frame); }
  const uint8_t* data() const { return static_cast<const uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0)); }
  ptrdiff_t stride() const { return GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0); }
};

/// Decodes `path` and passes it through `tail`, a piece of a gst-launch line.
std::shared_ptr<Picture> decode(const std::string& path, const std::string& tail) {
  gst_init(nullptr, nullptr);
  const auto line = "filesrc name=file ! pngdec ! " + tail + " ! appsink name=out sync=false";
  GError* error = nullptr;
  std::unique_ptr<GstElement, decltype(&gst_object_unref)> pipeline(gst_parse_launch(line.c_str(), &error),
                                                                    &gst_object_unref);
  if (error) {
    const std::string text = error->message;
    g_error_free(error);
    throw std::runtime_error(path + ": " + text);
  }
  auto* file = gst_bin_get_by_name(GST_BIN(pipeline.get()), "file");
  g_object_set(file, "location", path.c_str(), nullptr);
  gst_object_unref(file);

  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  auto* out = gst_bin_get_by_name(GST_BIN(pipeline.get()), "out");
  auto picture = std::make_shared<Picture>();
  picture->sample = gst_app_sink_pull_sample(GST_APP_SINK(out));  // null at the end or on an error
  gst_object_unref(out);
  gst_element_set_state(pipeline.get(), GST_STATE_NULL);

  GstVideoInfo info;
  if (!picture->sample || !gst_video_info_from_caps(&info, gst_sample_get_caps(picture->sample)))
    throw std::runtime_error(path + ": not a PNG file that gives " + tail);
  picture->mapped =
      gst_video_frame_map(&picture->frame, &info, gst_sample_get_buffer(picture->sample), GST_MAP_READ);
  if (!picture->mapped) throw std::runtime_error(path + ": cannot be mapped");
  return picture;
}

}  // namespace

ImageView read_colour_png(const std::string& path) {
  const auto picture = decode(path, "videoconvert ! video/x-raw,format=RGB");
  ImageView view;
  view.format = PixelFormat::kRgb;
  view.width = picture->width();
  view.height = picture->height();
  view.planes[0] = {picture->data(), picture->stride()};
  view.owner = picture;
  return view;
}

DepthView read_depth_png(const std::string& path, double steps_per_metre) {
  const auto picture = decode(path, "video/x-raw,format=GRAY16_BE");
  DepthView view;
  view.data = picture->data();
  view.stride_bytes = picture->stride();
  view.width = picture->width();
  view.height = picture->height();
  view.big_endian = true;
  view.metres_per_step = 1.0 / steps_per_metre;
  view.owner = picture;
  return view;
}

}  // namespace rgbd::test
