// SPDX-License-Identifier: Apache-2.0
// rgbdtestsrc with an appsink behind each pad that a test asks for.
#pragma once

#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rgbd::testing {

struct SourceFrame {
  GstClockTime pts = GST_CLOCK_TIME_NONE, duration = GST_CLOCK_TIME_NONE;
  uint64_t number = 0;  // the buffer's offset
  int width = 0, height = 0;
  std::string caps;
  std::vector<uint8_t> bytes;

  uint16_t depth_mm(int x, int y) const {
    return GST_READ_UINT16_LE(&bytes[(static_cast<size_t>(y) * row_bytes() + 2 * static_cast<size_t>(x))]);
  }
  size_t row_bytes() const { return bytes.size() / static_cast<size_t>(height); }
};

class SourceRig {
 public:
  /// `pads`: names to link, each with the caps that its stream must have ("" = any).
  SourceRig(const std::string& properties, const std::map<std::string, std::string>& pads) {
    std::string text = "pipeline.( rgbdtestsrc name=s " + properties;
    for (const auto& [name, caps] : pads) {
      text += " s." + name + " ! capsfilter name=" + name + "-caps" + (caps.empty() ? "" : " caps=" + caps) +
              " ! queue max-size-buffers=3 ! appsink name=" + name + " sync=false";
    }
    GError* error = nullptr;
    pipeline_ = gst_parse_launch((text + " )").c_str(), &error);
    EXPECT_EQ(error, nullptr) << error->message;
  }
  ~SourceRig() {
    gst_element_set_state(pipeline_, GST_STATE_NULL);
    gst_object_unref(pipeline_);
  }
  SourceRig(const SourceRig&) = delete;

  GstElement* pipeline() { return pipeline_; }
  GstStateChangeReturn play() { return gst_element_set_state(pipeline_, GST_STATE_PLAYING); }
  /// Owned by the pipeline.
  GstElement* element(const std::string& name) {
    GstElement* found = gst_bin_get_by_name(GST_BIN(pipeline_), name.c_str());
    gst_object_unref(found);
    return found;
  }
  void set_caps(const std::string& pad, const std::string& caps) {
    gst_util_set_object_arg(G_OBJECT(element(pad + "-caps")), "caps", caps.c_str());
  }

  /// The next frame, however long it takes; nothing at the end of the stream.
  std::optional<SourceFrame> pull(const std::string& pad) {
    GstSample* sample = gst_app_sink_pull_sample(sink(pad));
    if (!sample) return {};
    SourceFrame frame;
    GstBuffer* buffer = gst_sample_get_buffer(sample);
    frame.pts = GST_BUFFER_PTS(buffer);
    frame.duration = GST_BUFFER_DURATION(buffer);
    frame.number = GST_BUFFER_OFFSET(buffer);
    GstVideoInfo info;
    EXPECT_TRUE(gst_video_info_from_caps(&info, gst_sample_get_caps(sample)));
    frame.width = GST_VIDEO_INFO_WIDTH(&info);
    frame.height = GST_VIDEO_INFO_HEIGHT(&info);
    char* caps = gst_caps_to_string(gst_sample_get_caps(sample));
    frame.caps = caps;
    g_free(caps);
    EXPECT_EQ(gst_buffer_get_size(buffer), GST_VIDEO_INFO_SIZE(&info));
    frame.bytes.resize(gst_buffer_get_size(buffer));
    gst_buffer_extract(buffer, 0, frame.bytes.data(), frame.bytes.size());
    gst_sample_unref(sample);
    return frame;
  }
  std::vector<SourceFrame> pull_all(const std::string& pad) {
    std::vector<SourceFrame> all;
    while (auto frame = pull(pad)) all.push_back(*frame);
    EXPECT_TRUE(gst_app_sink_is_eos(sink(pad))) << "no end of stream on " << pad;
    return all;
  }
  bool at_end(const std::string& pad) { return !pull(pad) && gst_app_sink_is_eos(sink(pad)); }

  /// Waits for an error or the state change's end. Text of the error, empty if there was none.
  std::string error_text() {
    GstBus* bus = gst_element_get_bus(pipeline_);
    GstMessage* found = gst_bus_timed_pop_filtered(bus, 10 * GST_SECOND, GST_MESSAGE_ERROR);
    gst_object_unref(bus);
    if (!found) return "";
    GError* error = nullptr;
    gst_message_parse_error(found, &error, nullptr);
    std::string text = error->message;
    g_error_free(error);
    gst_message_unref(found);
    return text;
  }

 private:
  GstAppSink* sink(const std::string& pad) { return GST_APP_SINK(element(pad)); }
  GstElement* pipeline_;
};

}  // namespace rgbd::testing
