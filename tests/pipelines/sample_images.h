// SPDX-License-Identifier: Apache-2.0
// Images that tests make for themselves.
#pragma once

#include <gst/gst.h>

#include <random>
#include <stdexcept>
#include <string>

#include "pipelines/refine/frame.h"
#include "pipelines/refine/owned.h"

namespace rgbd::testing {

inline DepthFrame random_depth(int width, int height) {
  std::mt19937 random(1);
  DepthFrame frame{width, height, std::vector<uint16_t>(size_t{1} * width * height)};
  for (uint16_t& step : frame.steps) step = static_cast<uint16_t>(random());
  return frame;
}

inline ColorFrame random_color(int width, int height) {
  std::mt19937 random(2);
  ColorFrame frame{width, height, std::vector<uint8_t>(size_t{3} * width * height)};
  for (uint8_t& value : frame.rgb) value = static_cast<uint8_t>(random());
  return frame;
}

/// Writes one frame of videotestsrc in `format` through `encoder`.
inline void gst_image(const std::string& path, const std::string& format, int width, int height,
                      const std::string& pattern, const std::string& encoder) {
  // Full range, as image files have it.
  const std::string description =
      "videotestsrc num-buffers=1 pattern=" + pattern +
      " ! video/x-raw,format=RGB ! videoconvert dither=none ! video/x-raw,colorimetry=1:4:0:0,format=" +
      format + ",width=" + std::to_string(width) + ",height=" + std::to_string(height) + " ! " + encoder +
      " ! filesink name=file";
  GError* raw_error = nullptr;
  OwnedElement pipeline(gst_parse_launch(description.c_str(), &raw_error));
  if (!pipeline || raw_error) throw std::runtime_error(raw_error ? raw_error->message : description);
  OwnedElement file(gst_bin_get_by_name(GST_BIN(pipeline.get()), "file"));
  g_object_set(file.get(), "location", path.c_str(), nullptr);
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  OwnedMessage message(gst_bus_timed_pop_filtered(
      bus.get(), GST_CLOCK_TIME_NONE, static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_EOS)));
  const bool failed = GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_ERROR;
  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  if (failed) throw std::runtime_error("cannot make " + path + ": " + description);
}

}  // namespace rgbd::testing
