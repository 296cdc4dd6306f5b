// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/gst_frames.h"

#include <gst/video/video.h>

#include <cstring>

#include "pipelines/refine/failure.h"

namespace rgbd {
namespace {

/// A mapped frame of a sample.
class Mapped {
 public:
  explicit Mapped(GstSample* sample) {
    GstVideoInfo info;
    if (!gst_video_info_from_caps(&info, gst_sample_get_caps(sample)) ||
        !gst_video_frame_map(&frame_, &info, gst_sample_get_buffer(sample), GST_MAP_READ))
      throw Failure("a frame cannot be read from memory");
  }
  ~Mapped() { gst_video_frame_unmap(&frame_); }
  Mapped(const Mapped&) = delete;

  int width() const { return GST_VIDEO_FRAME_WIDTH(&frame_); }
  int height() const { return GST_VIDEO_FRAME_HEIGHT(&frame_); }
  bool is(GstVideoFormat format) const { return GST_VIDEO_FRAME_FORMAT(&frame_) == format; }
  const uint8_t* row(int y) const {
    return static_cast<const uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame_, 0)) +
           ptrdiff_t{y} * GST_VIDEO_FRAME_PLANE_STRIDE(&frame_, 0);
  }

 private:
  GstVideoFrame frame_;
};

/// Rows padded to four bytes, GStreamer's default for both formats.
size_t padded(size_t row_bytes) {
  return (row_bytes + 3) / 4 * 4;
}

}  // namespace

OwnedCaps video_caps(const char* format, int width, int height) {
  return OwnedCaps(gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, format, "width", G_TYPE_INT,
                                       width, "height", G_TYPE_INT, height, "framerate", GST_TYPE_FRACTION,
                                       30, 1, nullptr));
}

OwnedBuffer buffer_of(const ColorFrame& frame) {
  const size_t row = size_t{3} * frame.width;
  const size_t stride = padded(row);
  OwnedBuffer buffer(gst_buffer_new_allocate(nullptr, stride * frame.height, nullptr));
  gst_buffer_memset(buffer.get(), 0, 0, stride * frame.height);
  for (int y = 0; y < frame.height; ++y)
    gst_buffer_fill(buffer.get(), y * stride, frame.rgb.data() + y * row, row);
  return buffer;
}

OwnedBuffer buffer_of(const DepthFrame& frame, bool big_endian) {
  const size_t stride = padded(size_t{2} * frame.width);
  std::vector<uint8_t> bytes(stride * frame.height);
  for (int y = 0; y < frame.height; ++y) {
    uint8_t* out = bytes.data() + y * stride;
    const uint16_t* in = frame.steps.data() + size_t{1} * y * frame.width;
    for (int x = 0; x < frame.width; ++x) {
      const uint8_t low = in[x] & 0xff, high = in[x] >> 8;
      out[2 * x] = big_endian ? high : low;
      out[2 * x + 1] = big_endian ? low : high;
    }
  }
  return OwnedBuffer(gst_buffer_new_memdup(bytes.data(), bytes.size()));
}

ColorFrame color_frame_of(GstSample* sample) {
  const Mapped mapped(sample);
  ColorFrame frame{mapped.width(), mapped.height(), {}};
  const size_t row = size_t{3} * frame.width;
  frame.rgb.resize(row * frame.height);
  for (int y = 0; y < frame.height; ++y) std::memcpy(frame.rgb.data() + y * row, mapped.row(y), row);
  return frame;
}

DepthFrame depth_frame_of(GstSample* sample) {
  const Mapped mapped(sample);
  const size_t low = mapped.is(GST_VIDEO_FORMAT_GRAY16_BE) ? 1 : 0;
  DepthFrame frame{mapped.width(), mapped.height(), {}};
  frame.steps.reserve(size_t{1} * frame.width * frame.height);
  for (int y = 0; y < frame.height; ++y) {
    const uint8_t* in = mapped.row(y);
    for (int x = 0; x < frame.width; ++x)
      frame.steps.push_back(static_cast<uint16_t>(in[2 * x + low] | in[2 * x + 1 - low] << 8));
  }
  return frame;
}

std::string text_of(GstMessage* message) {
  GError* raw_error = nullptr;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(message, &raw_error, nullptr);
  } else {
    gst_message_parse_warning(message, &raw_error, nullptr);
  }
  OwnedError error(raw_error);
  return error->message;
}

}  // namespace rgbd
