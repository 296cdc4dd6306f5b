// SPDX-License-Identifier: Apache-2.0
// See refine_rig.h.
#include "tests/gst/refine_rig.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <future>

namespace rgbd::testing {
namespace {

constexpr GstClockTime kPatience = GST_SECOND * 60;

GstBuffer* filled(gsize size, GstClockTime pts, GstClockTime duration) {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, size, nullptr);
  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_DURATION(buffer) = duration;
  return buffer;
}

Output read(GstSample* sample) {
  Output out;
  GstCaps* caps = gst_sample_get_caps(sample);
  GstBuffer* buffer = gst_sample_get_buffer(sample);
  char* text = gst_caps_to_string(caps);
  out.caps = text;
  g_free(text);
  out.pts = GST_BUFFER_PTS(buffer);
  GstVideoInfo info;
  GstVideoFrame frame;
  EXPECT_TRUE(gst_video_info_from_caps(&info, caps));
  EXPECT_TRUE(gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ)) << out.caps;
  out.width = GST_VIDEO_INFO_WIDTH(&info);
  out.height = GST_VIDEO_INFO_HEIGHT(&info);
  bool big_endian = GST_VIDEO_INFO_FORMAT(&info) == GST_VIDEO_FORMAT_GRAY16_BE;
  for (int y = 0; y < out.height; ++y) {
    auto* row = static_cast<const guint8*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0)) +
                GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0) * y;
    for (int x = 0; x < out.width; ++x) {
      out.steps.push_back(big_endian ? GST_READ_UINT16_BE(row + 2 * x) : GST_READ_UINT16_LE(row + 2 * x));
    }
  }
  gst_video_frame_unmap(&frame);
  out.depth_number = static_cast<int>(out.steps.at(0)) - kDepthBase;
  out.rgb_number = static_cast<int>(out.steps.at(1));
  if (GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, "rgbd-refine")) {
    GstStructure* s = gst_custom_meta_get_structure(meta);
    gboolean refined = TRUE;
    gint64 skew = 0;
    EXPECT_TRUE(
        gst_structure_get(s, "refined", G_TYPE_BOOLEAN, &refined, "skew", G_TYPE_INT64, &skew, nullptr));
    EXPECT_FALSE(refined);
    out.skew = skew;
    out.rgb_number = -1;
  }
  return out;
}

}  // namespace

std::string raw_caps(const std::string& format, int width, int height) {
  return "video/x-raw,format=" + format + ",width=" + std::to_string(width) +
         ",height=" + std::to_string(height) + ",framerate=30/1";
}

GstBuffer* rgb_frame(int n, GstClockTime pts, GstClockTime duration) {
  GstBuffer* buffer = filled(kSide * kSide * 3, pts, duration);
  gst_buffer_memset(buffer, 0, static_cast<guint8>(n), kSide * kSide * 3);
  return buffer;
}

GstBuffer* depth_frame(int n, GstClockTime pts, GstClockTime duration) {
  GstBuffer* buffer = filled(kSide * kSide * 2, pts, duration);
  std::vector<guint16> steps(kSide * kSide, GUINT16_TO_LE(static_cast<guint16>(kDepthBase + n)));
  gst_buffer_fill(buffer, 0, steps.data(), steps.size() * 2);
  return buffer;
}

GstBuffer* frame_of(const std::string& text, int n) {
  GstCaps* caps = gst_caps_from_string(text.c_str());
  GstVideoInfo info;
  EXPECT_TRUE(gst_video_info_from_caps(&info, caps)) << text;
  gst_caps_unref(caps);
  GstBuffer* buffer = filled(GST_VIDEO_INFO_SIZE(&info), static_cast<GstClockTime>(n) * kFrame, kFrame);
  gst_buffer_memset(buffer, 0, static_cast<guint8>(n), GST_VIDEO_INFO_SIZE(&info));
  GstVideoFormat format = GST_VIDEO_INFO_FORMAT(&info);
  if (format == GST_VIDEO_FORMAT_GRAY16_LE || format == GST_VIDEO_FORMAT_GRAY16_BE) {
    auto step = static_cast<guint16>(kDepthBase + n);
    step = format == GST_VIDEO_FORMAT_GRAY16_LE ? GUINT16_TO_LE(step) : GUINT16_TO_BE(step);
    std::vector<guint16> steps(GST_VIDEO_INFO_SIZE(&info) / 2, step);
    gst_buffer_fill(buffer, 0, steps.data(), steps.size() * 2);
  }
  return buffer;
}

bool ends_by_itself(const std::function<void()>& body, const std::function<void()>& release) {
  std::future<void> done = std::async(std::launch::async, body);
  bool in_time = done.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  if (!in_time) release();
  done.wait();
  return in_time;
}

Rig::Rig(const std::string& properties, const std::string& downstream, bool live) {
  std::string source = std::string(" format=time max-bytes=0 is-live=") + (live ? "true" : "false");
  std::string text = "appsrc name=rgb" + source + " ! r.rgb appsrc name=depth" + source +
                     " ! r.depth rgbdrefine name=r " + properties + " ! " +
                     (downstream.empty() ? "" : downstream + " ! ") + "appsink name=out sync=false";
  GError* error = nullptr;
  pipeline_ = gst_parse_launch(text.c_str(), &error);
  EXPECT_EQ(error, nullptr) << error->message;
  refine_ = gst_bin_get_by_name(GST_BIN(pipeline_), "r");
  rgb_ = gst_bin_get_by_name(GST_BIN(pipeline_), "rgb");
  depth_ = gst_bin_get_by_name(GST_BIN(pipeline_), "depth");
  sink_ = gst_bin_get_by_name(GST_BIN(pipeline_), "out");
  bus_ = gst_element_get_bus(pipeline_);
  set_rgb_caps(kRgbCaps);
  set_depth_caps(kDepthCaps);
}

Rig::~Rig() {
  gst_element_set_state(pipeline_, GST_STATE_NULL);
  for (GstElement* element : {refine_, rgb_, depth_, sink_}) gst_object_unref(element);
  gst_object_unref(bus_);
  gst_object_unref(pipeline_);
}

bool Rig::set_state(GstState state) {
  return gst_element_set_state(pipeline_, state) != GST_STATE_CHANGE_FAILURE;
}

void Rig::push_pair(int n) {
  push_rgb(rgb_frame(n, static_cast<GstClockTime>(n) * kFrame));
  push_depth(depth_frame(n, static_cast<GstClockTime>(n) * kFrame));
}

void Rig::set_caps(GstElement* source, const std::string& text) {
  GstCaps* caps = gst_caps_from_string(text.c_str());
  gst_app_src_set_caps(GST_APP_SRC(source), caps);
  gst_caps_unref(caps);
}

void Rig::make_seekable() {
  for (GstElement* source : {rgb_, depth_}) {
    gst_app_src_set_stream_type(GST_APP_SRC(source), GST_APP_STREAM_TYPE_SEEKABLE);
    auto accept = +[](GstAppSrc*, guint64, gpointer) -> gboolean { return TRUE; };
    g_signal_connect(source, "seek-data", G_CALLBACK(accept), nullptr);
  }
}

bool Rig::seek(GstClockTime to, GstSeekFlags flags) {
  return gst_element_seek_simple(pipeline_, GST_FORMAT_TIME, flags, static_cast<gint64>(to));
}

namespace {
/// The sink pad that the source feeds. Events go straight in: the source's own pad would stop its task.
GstPad* fed_by(GstElement* source) {
  GstPad* pad = gst_element_get_static_pad(source, "src");
  GstPad* peer = gst_pad_get_peer(pad);
  gst_object_unref(pad);
  return peer;
}
}  // namespace

namespace {

/// The same number, if it is one, as another event's.
GstEvent* numbered(GstEvent* event, guint32 number) {
  if (number) gst_event_set_seqnum(event, number);
  return event;
}

}  // namespace

void Rig::begin_flush(GstElement* source, guint32 number) {
  GstPad* pad = fed_by(source);
  gst_pad_send_event(pad, numbered(gst_event_new_flush_start(), number));
  gst_object_unref(pad);
}

void Rig::end_flush(GstElement* source, guint32 number) {
  GstPad* pad = fed_by(source);
  gst_pad_send_event(pad, numbered(gst_event_new_flush_stop(TRUE), number));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_pad_send_event(pad, gst_event_new_segment(&segment));
  gst_object_unref(pad);
}

void Rig::flush_both() {
  const guint32 number = gst_util_seqnum_next();
  begin_flush(rgb_, number);
  begin_flush(depth_, number);
  end_flush(rgb_, number);
  end_flush(depth_, number);
}

void Rig::push_gap(GstElement* source, GstClockTime pts, GstClockTime duration) {
  EXPECT_TRUE(gst_element_send_event(source, gst_event_new_gap(pts, duration)));
}

void Rig::end() {
  gst_app_src_end_of_stream(GST_APP_SRC(rgb_));
  gst_app_src_end_of_stream(GST_APP_SRC(depth_));
}

std::optional<Output> Rig::pull() {
  GstSample* sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink_), kPatience);
  if (!sample) return {};
  Output out = read(sample);
  gst_sample_unref(sample);
  return out;
}

std::vector<Output> Rig::pull_all() {
  std::vector<Output> all;
  while (auto out = pull()) all.push_back(*out);
  EXPECT_TRUE(gst_app_sink_is_eos(GST_APP_SINK(sink_))) << "no end of stream";
  return all;
}

bool Rig::nothing_for(int ms) {
  GstSample* sample =
      gst_app_sink_try_pull_sample(GST_APP_SINK(sink_), static_cast<GstClockTime>(ms) * GST_MSECOND);
  if (!sample) return true;
  gst_sample_unref(sample);
  return false;
}

GstMessage* Rig::message(GstMessageType types) {
  return gst_bus_timed_pop_filtered(bus_, kPatience, types);
}

std::string Rig::text_of(GstMessageType type) {
  GstMessage* found = message(type);
  if (!found) return "";
  GError* error = nullptr;
  type == GST_MESSAGE_ERROR ? gst_message_parse_error(found, &error, nullptr)
                            : gst_message_parse_warning(found, &error, nullptr);
  std::string text = error->message;
  g_error_free(error);
  gst_message_unref(found);
  return text;
}

std::string Rig::error_kind() {
  GstMessage* found = message(GST_MESSAGE_ERROR);
  if (!found) return "";
  GError* error = nullptr;
  gst_message_parse_error(found, &error, nullptr);
  std::string kind = std::string(g_quark_to_string(error->domain)) + "/" + std::to_string(error->code) +
                     ": " + error->message;
  g_error_free(error);
  gst_message_unref(found);
  return kind;
}

int Rig::count_now(GstMessageType types) {
  int count = 0;
  while (GstMessage* found = gst_bus_pop_filtered(bus_, types)) {
    ++count;
    gst_message_unref(found);
  }
  return count;
}

uint64_t Rig::stat(const char* name) {
  GstStructure* stats = nullptr;
  g_object_get(refine_, "stats", &stats, nullptr);
  guint64 value = 0;
  EXPECT_TRUE(gst_structure_get_uint64(stats, name, &value)) << name;
  gst_structure_free(stats);
  return value;
}

}  // namespace rgbd::testing
