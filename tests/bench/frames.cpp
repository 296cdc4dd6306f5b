// SPDX-License-Identifier: Apache-2.0
// The frames of lanes.h.
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>

#include <cstring>
#include <stdexcept>

#include "tests/bench/lanes.h"
#include "tests/bench/random_frames.h"

namespace rgbd::bench {
namespace {

constexpr int kFrames = 8;
constexpr const char* kCudaContext = "gst.cuda.context";

Owned<GstCaps> caps_of(const std::string& format, int width, int height, int fps) {
  return Owned<GstCaps>(gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, format.c_str(), "width",
                                            G_TYPE_INT, width, "height", G_TYPE_INT, height, "framerate",
                                            GST_TYPE_FRACTION, fps, 1, nullptr));
}

Owned<GstBuffer> buffer_of(const void* bytes, size_t size) {
  Owned<GstBuffer> buffer(gst_buffer_new_allocate(nullptr, size, nullptr));
  gst_buffer_fill(buffer.get(), 0, bytes, size);
  return buffer;
}

/// What an element upstream of the pad would be told, or what the pipeline keeps; null: nothing.
Owned<GstContext> cuda_context(GstElement* pipeline, GstPad* pad) {
  if (GstContext* kept = gst_element_get_context(pipeline, kCudaContext)) return Owned<GstContext>(kept);
  GstQuery* query = gst_query_new_context(kCudaContext);
  GstContext* context = nullptr;
  if (gst_pad_query(pad, query)) gst_query_parse_context(query, &context);
  if (context) gst_context_ref(context);
  gst_query_unref(query);
  return Owned<GstContext>(context);
}

}  // namespace

Frames make_frames(const std::string& format, int width, int height, int fps) {
  Frames frames;
  frames.rgb_caps = caps_of(format, width, height, fps);
  frames.depth_caps = caps_of("GRAY16_LE", width, height, fps);
  GstVideoInfo info;
  if (!gst_video_info_from_caps(&info, frames.rgb_caps.get()))
    throw std::runtime_error("no video format " + format);
  for (uint32_t i = 1; i <= kFrames; ++i) {
    const auto rgb = random_colour(GST_VIDEO_INFO_SIZE(&info), i);
    const auto depth = random_depth(width, height, i);
    frames.rgb.push_back(buffer_of(rgb.data(), rgb.size()));
    // Rows of GRAY16 are padded to four bytes.
    const size_t row = GST_ROUND_UP_4(static_cast<size_t>(width) * 2);
    std::vector<uint8_t> rows(row * static_cast<size_t>(height));
    for (int y = 0; y < height; ++y) {
      std::memcpy(rows.data() + row * static_cast<size_t>(y),
                  depth.data() + static_cast<ptrdiff_t>(y) * width, static_cast<size_t>(width) * 2);
    }
    frames.depth.push_back(buffer_of(rows.data(), rows.size()));
  }
  return frames;
}

bool upload(Frames& frames, GstElement* pipeline, GstPad* lane_pad) {
  const Owned<GstContext> context = cuda_context(pipeline, lane_pad);
  GError* error = nullptr;
  Owned<GstElement> up(
      gst_parse_launch("appsrc name=in format=time ! cudaupload ! appsink name=out sync=false", &error));
  if (error) throw std::runtime_error(error->message);
  if (context) gst_element_set_context(up.get(), context.get());
  const Owned<GstElement> in(gst_bin_get_by_name(GST_BIN(up.get()), "in"));
  const Owned<GstElement> out(gst_bin_get_by_name(GST_BIN(up.get()), "out"));
  // appsink takes anything, and cudaupload then lets frames pass as they are.
  const Owned<GstCaps> wanted(gst_caps_from_string("video/x-raw(memory:CUDAMemory)"));
  gst_app_sink_set_caps(GST_APP_SINK(out.get()), wanted.get());
  gst_app_src_set_caps(GST_APP_SRC(in.get()), frames.rgb_caps.get());
  gst_element_set_state(up.get(), GST_STATE_PLAYING);
  for (const auto& buffer : frames.rgb) {
    gst_app_src_push_buffer(GST_APP_SRC(in.get()), gst_buffer_ref(buffer.get()));
  }
  gst_app_src_end_of_stream(GST_APP_SRC(in.get()));
  std::vector<Owned<GstBuffer>> uploaded;
  while (GstSample* sample = gst_app_sink_pull_sample(GST_APP_SINK(out.get()))) {
    uploaded.emplace_back(gst_buffer_ref(gst_sample_get_buffer(sample)));
    frames.rgb_caps.reset(gst_caps_ref(gst_sample_get_caps(sample)));
    gst_sample_unref(sample);
  }
  gst_element_set_state(up.get(), GST_STATE_NULL);
  if (uploaded.size() != frames.rgb.size()) throw std::runtime_error("cudaupload did not take the frames");
  frames.rgb = std::move(uploaded);
  return context != nullptr;
}

}  // namespace rgbd::bench
