// SPDX-License-Identifier: Apache-2.0
// See stress_camera.h.
#include "tests/gst/stress_camera.h"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>

namespace rgbd::testing {
namespace {

/// Warnings that the storm may draw; each is for the user of a pipeline that is driven so.
constexpr const char* kExpectedWarnings[] = {
    "The model stays as it was",
    "has no timestamp",
    "A pair is passed over",
    "is not linked",
    "ahead of the",
    "No frame has come on the",
    "Nothing comes out",
    "A lot of buffers are being dropped"};  // the sink's, on a busy machine

}  // namespace

Camera::Camera(const CameraSettings& settings, uint64_t seed, Watch& watch)
    : settings_(settings),
      watch_(watch),
      rgb_(Stream::kRgb, settings.live, seed),
      depth_(Stream::kDepth, settings.live, seed + 1),
      judge_(settings_, rgb_, depth_, watch) {
  std::string text = "rgbdrefine name=refine max-depth=1000 model=fake: sync-mode=" +
                     std::string(settings.by_order ? "order" : "running-time") +
                     (settings.instance_id.empty() ? "" : " model-instance-id=" + settings.instance_id) +
                     " ! " + settings.sink;
  GError* error = nullptr;
  pipeline_ = GST_ELEMENT(gst_object_ref_sink(gst_parse_launch(text.c_str(), &error)));
  EXPECT_EQ(error, nullptr) << error->message;
  refine_ = gst_bin_get_by_name(GST_BIN(pipeline_), "refine");
  src_ = gst_element_get_static_pad(refine_, "src");
  for (Stream* stream : {&rgb_, &depth_}) {
    gst_bin_add(GST_BIN(pipeline_), stream->element());
    EXPECT_TRUE(gst_element_link_pads(stream->element(), "src", refine_, GST_OBJECT_NAME(stream->element())));
  }
  gst_pad_add_probe(
      src_,
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                                   GST_PAD_PROBE_TYPE_EVENT_FLUSH),
      on_output, this, nullptr);
  GstBus* bus = gst_element_get_bus(pipeline_);
  gst_bus_set_sync_handler(bus, on_message, this, nullptr);
  gst_object_unref(bus);
  watch_.add(pipeline_);
  rgb_.start();
  depth_.start();
}

Camera::~Camera() {
  Doing doing(watch_, "taking a pipeline down");
  EXPECT_TRUE(set_state(GST_STATE_NULL));
  watch_.remove(pipeline_);
  rgb_.stop();
  depth_.stop();
  GstBus* bus = gst_element_get_bus(pipeline_);
  gst_bus_set_sync_handler(bus, nullptr, nullptr, nullptr);
  gst_object_unref(bus);
  gst_object_unref(src_);
  gst_object_unref(refine_);
  gst_object_unref(pipeline_);
}

void Camera::flush(Stream::Kind kind) {
  auto turn = flush_turn();
  guint32 seqnum = gst_util_seqnum_next();
  if (stream(kind).begin_flush(seqnum)) stream(kind).end_flush(seqnum);
}

void Camera::flush_both(bool one_after_the_other) {
  auto turn = flush_turn();
  guint32 seqnum = gst_util_seqnum_next();
  bool rgb = rgb_.begin_flush(seqnum);
  if (rgb && one_after_the_other) rgb_.end_flush(seqnum);
  bool depth = depth_.begin_flush(seqnum);
  if (rgb && !one_after_the_other) rgb_.end_flush(seqnum);
  if (depth) depth_.end_flush(seqnum);
}

bool Camera::seek(GstClockTime to, bool twice) {
  auto turn = flush_turn();
  GstEvent* event = gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET,
                                       static_cast<gint64>(to), GST_SEEK_TYPE_NONE, -1);
  if (twice) gst_pad_send_event(src_, gst_event_ref(event));  // as a second sink does
  return gst_element_send_event(pipeline_, event);
}

bool Camera::set_state(GstState state) {
  // A flush that reaches a prerolling GstBaseSink of 1.22 when it has just gone to READY makes it wait for
  // ever, "READY, pending READY", whatever stands before it. Without preroll both may come at once.
  std::unique_lock<std::recursive_mutex> turn;
  if (state <= GST_STATE_READY && settings_.prerolls()) turn = flush_turn();
  return gst_element_set_state(pipeline_, state) != GST_STATE_CHANGE_FAILURE;
}

void Camera::set(const char* property, const std::string& value) {
  gst_util_set_object_arg(G_OBJECT(refine_), property, value.c_str());
}

GstBusSyncReply Camera::on_message(GstBus*, GstMessage* message, gpointer data) {
  auto* self = static_cast<Camera*>(data);
  GError* error = nullptr;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(message, &error, nullptr);
    if (!self->settings_.errors_allowed)
      ADD_FAILURE() << "an error: " << error->message << "\n" << self->watch_.report();
  } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING) {
    gst_message_parse_warning(message, &error, nullptr);
    bool expected = false;
    for (const char* part : kExpectedWarnings) expected |= std::strstr(error->message, part) != nullptr;
    if (!expected) ADD_FAILURE() << "a warning: " << error->message << "\n" << self->watch_.report();
  }
  g_clear_error(&error);
  gst_message_unref(message);
  return GST_BUS_DROP;
}

GstPadProbeReturn Camera::on_output(GstPad* pad, GstPadProbeInfo* info, gpointer data) {
  auto* self = static_cast<Camera*>(data);
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    if (auto frame = self->read(pad, GST_PAD_PROBE_INFO_BUFFER(info))) self->judge_.frame(*frame);
    return GST_PAD_PROBE_OK;
  }
  self->judge_.event(GST_PAD_PROBE_INFO_EVENT(info));
  return GST_PAD_PROBE_OK;
}

std::optional<OutputFrame> Camera::read(GstPad* pad, GstBuffer* buffer) {
  OutputFrame frame{};
  frame.refined = true;
  frame.pts = GST_BUFFER_PTS(buffer);
  if (GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, "rgbd-refine")) {
    gboolean refined = FALSE;
    gint64 skew = 0;
    gst_structure_get(gst_custom_meta_get_structure(meta), "refined", G_TYPE_BOOLEAN, &refined, "skew",
                      G_TYPE_INT64, &skew, nullptr);
    frame.refined = refined;
    frame.skew = skew;
  }
  GstEvent* segment = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
  EXPECT_TRUE(segment) << "a frame without a segment";
  gst_clear_event(&segment);
  GstCaps* caps = gst_pad_get_current_caps(pad);
  GstVideoInfo info;
  GstVideoFrame video;
  bool mapped = caps && gst_video_info_from_caps(&info, caps) &&
                gst_video_frame_map(&video, &info, buffer, GST_MAP_READ);
  EXPECT_TRUE(mapped) << "a frame that does not fit its caps";
  gst_clear_caps(&caps);
  if (!mapped) return {};
  frame.width = GST_VIDEO_INFO_WIDTH(&info);
  frame.height = GST_VIDEO_INFO_HEIGHT(&info);
  bool big_endian = GST_VIDEO_INFO_FORMAT(&info) == GST_VIDEO_FORMAT_GRAY16_BE;
  auto step = [&](int x, int y) -> unsigned {
    auto* at = static_cast<const guint8*>(GST_VIDEO_FRAME_PLANE_DATA(&video, 0)) +
               GST_VIDEO_FRAME_PLANE_STRIDE(&video, 0) * y + 2 * x;
    return big_endian ? GST_READ_UINT16_BE(at) : GST_READ_UINT16_LE(at);
  };
  frame.depth_number = step(0, 0);
  frame.rgb_number = step(1, 0) | step(2, 0) << 8;
  if (step(1, 0) == frame.depth_number) frame.rgb_number = 0;  // raw depth: no number is so small
  frame.uniform = true;
  for (int y = 0; y < frame.height; ++y)
    for (int x = y == 0 ? 3 : 0; x < frame.width; ++x) frame.uniform &= step(x, y) == frame.depth_number;
  gst_video_frame_unmap(&video);
  return frame;
}

void Camera::settle() {
  // A flush alone does not always do: the base class may keep an end or an error of before it.
  {
    Doing doing(watch_, "to READY, to settle");
    EXPECT_TRUE(set_state(GST_STATE_READY));
  }
  for (Stream* stream : {&rgb_, &depth_}) {
    stream->calm_down();
    stream->set_shape({stream == &rgb_ ? "RGB" : "GRAY16_LE", 16, 16, 100, 0});
  }
  for (auto [property, value] : {std::pair{"skip-policy", "drop"},
                                 {"inference-interval", "1"},
                                 {"leaky", "auto"},
                                 {"max-pairs", "1000"},
                                 {"pts-tolerance", "-1"},
                                 {"qos", "false"},
                                 {"model", "fake:"}})
    set(property, value);
  {
    Doing doing(watch_, "to PLAYING, to settle");
    EXPECT_TRUE(set_state(GST_STATE_PLAYING));
  }
  {
    Doing doing(watch_, "flushing, to settle");
    // Not one after the other: an end that was decided before the first flush would still reach its pad in
    // GstAggregator, and stay there.
    flush_both(false);
  }
  {
    Doing doing(watch_, "waiting for frames after the storm");
    judge_.wait_for_fresh(5);
  }
  rgb_.end_stream();
  depth_.end_stream();
  Doing doing(watch_, "waiting for the end of the stream");
  judge_.wait_for_end();
}

}  // namespace rgbd::testing
