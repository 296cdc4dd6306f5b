// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/codec.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>

#include "pipelines/refine/failure.h"
#include "pipelines/refine/gst_frames.h"
#include "pipelines/refine/owned.h"

namespace rgbd {
namespace {

/// Sends one buffer through `elements`. Throws Failure, also when nothing comes out.
OwnedSample run_once(const std::string& elements, OwnedBuffer buffer, const GstCaps* caps) {
  const std::string description =
      "appsrc name=in format=time ! " + elements + " ! appsink name=out sync=false";
  GError* raw_error = nullptr;
  OwnedPipeline pipeline(gst_parse_launch(description.c_str(), &raw_error));
  if (raw_error) {
    OwnedError error(raw_error);
    throw Failure(std::string("GStreamer is not complete: ") + error->message);
  }
  OwnedElement source(gst_bin_get_by_name(GST_BIN(pipeline.get()), "in"));
  OwnedElement sink(gst_bin_get_by_name(GST_BIN(pipeline.get()), "out"));
  GST_BUFFER_PTS(buffer.get()) = 0;
  gst_app_src_set_caps(GST_APP_SRC(source.get()), caps);
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  gst_app_src_push_buffer(GST_APP_SRC(source.get()), buffer.release());
  gst_app_src_end_of_stream(GST_APP_SRC(source.get()));

  // ASYNC_DONE: the sink has its frame, or the end of the stream without one.
  Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  OwnedMessage message(
      gst_bus_timed_pop_filtered(bus.get(), GST_CLOCK_TIME_NONE,
                                 static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_ASYNC_DONE)));
  const bool failed = GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_ERROR;
  OwnedSample sample(failed ? nullptr : gst_app_sink_pull_sample(GST_APP_SINK(sink.get())));
  if (!sample) throw Failure(failed ? text_of(message.get()) : "no picture came out");
  return sample;
}

/// pngdec (seen in 1.22) shifts the channels of deep colour by one. The default transform of jpegdec is the
/// fast one, which is off by a step or two.
const char* decoder_of(const ImageFile& file) {
  if (file.format == ImageFormat::kJpeg) return "jpegdec idct-method=islow";
  const bool deep_color = file.png.bits == 16 && file.png.color_type != kPngGray;
  return deep_color ? "gdkpixbufdec" : "pngdec";
}

OwnedSample decode(const char* what, const ImageFile& file, const std::string& convert) {
  const bool png = file.format == ImageFormat::kPng;
  OwnedCaps caps(gst_caps_new_empty_simple(png ? "image/png" : "image/jpeg"));
  OwnedBuffer buffer(gst_buffer_new_memdup(file.bytes.data(), file.bytes.size()));
  try {
    return run_once(decoder_of(file) + convert, std::move(buffer), caps.get());
  } catch (const Failure& failure) {
    throw Failure(std::string(what) + " '" + file.path + "' cannot be decoded, it is damaged (" +
                  failure.what() + ")");
  }
}

std::string encode(const char* format, int width, int height, OwnedBuffer pixels) {
  const OwnedCaps caps = video_caps(format, width, height);
  const OwnedSample sample = run_once("pngenc", std::move(pixels), caps.get());
  GstBuffer* buffer = gst_sample_get_buffer(sample.get());
  std::string bytes(gst_buffer_get_size(buffer), '\0');
  gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
  return bytes;
}

}  // namespace

ColorFrame decode_color(const ImageFile& file) {
  return color_frame_of(
      decode("colour image", file, " ! videoconvert dither=none ! video/x-raw,format=RGB").get());
}

DepthFrame decode_depth(const ImageFile& file) {
  // No videoconvert here: it would make 16 bits out of 8.
  return depth_frame_of(decode("depth image", file, " ! video/x-raw,format=GRAY16_BE").get());
}

std::string encode_png(const ColorFrame& frame) {
  return encode("RGB", frame.width, frame.height, buffer_of(frame));
}

std::string encode_png(const DepthFrame& frame) {
  return encode("GRAY16_BE", frame.width, frame.height, buffer_of(frame, true));
}

}  // namespace rgbd
