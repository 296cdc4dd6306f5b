// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/refine_pipeline.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <filesystem>

#include "pipelines/refine/failure.h"
#include "pipelines/refine/gst_frames.h"

namespace rgbd {
namespace {

namespace fs = std::filesystem;

/// Pairs are a thirtieth of a second apart; nothing waits for the clock.
constexpr GstClockTime kFrameDuration = GST_SECOND / 30;

OwnedElement make(const char* element, const char* name) {
  GstElement* made = gst_element_factory_make(element, name);
  if (!made) throw Failure(std::string("the GStreamer element ") + element + " was not found");
  return OwnedElement(GST_ELEMENT(gst_object_ref_sink(made)));
}

/// The sink's frame becomes a message, so that the bus is the one thing to wait for.
GstFlowReturn announce_frame(GstAppSink* sink, gpointer) {
  gst_element_post_message(GST_ELEMENT(sink),
                           gst_message_new_application(GST_OBJECT(sink), gst_structure_new_empty("frame")));
  return GST_FLOW_OK;
}

std::string text_field(const GstStructure* structure, const char* field) {
  const gchar* text = gst_structure_get_string(structure, field);
  return text ? text : "";
}

double number_field(const GstStructure* structure, const char* field) {
  double number = 0;
  gst_structure_get_double(structure, field, &number);
  return number;
}

uint64_t count_field(const GstStructure* structure, const char* field) {
  guint64 count = 0;
  gst_structure_get_uint64(structure, field, &count);
  return count;
}

Owned<GstStructure> stats_of(GstElement* refine) {
  GstStructure* stats = nullptr;
  g_object_get(refine, "stats", &stats, nullptr);
  return Owned<GstStructure>(stats);
}

}  // namespace

void load_plugins() {
  gst_init(nullptr, nullptr);
  std::setlocale(LC_NUMERIC, "C");  // gst_init takes the user's, in which 0.5 may be "0,5"
  std::error_code unreadable;
  const fs::path folder = fs::read_symlink("/proc/self/exe", unreadable).parent_path();
  // Relative, so that an installation can be moved.
  const fs::path installed =
      folder / fs::path(RGBD_PLUGIN_DIR).lexically_relative(RGBD_BIN_DIR) / "libgstrgbd.so";
  const fs::path built = folder / "../gst/libgstrgbd.so";
  for (const fs::path& plugin : {built, installed}) {
    if (!fs::exists(plugin, unreadable)) continue;
    // An installed library finds its model by itself, that of a build tree does not.
    if (plugin == built) g_setenv("RGBD_DATA_DIR", RGBD_SOURCE_DATA_DIR, FALSE);
    GError* raw_error = nullptr;
    if (GstPlugin* loaded = gst_plugin_load_file(plugin.c_str(), &raw_error)) {
      gst_object_unref(loaded);
      return;
    }
    OwnedError error(raw_error);
    throw Failure(std::string("the plugin cannot be loaded: ") + error->message);
  }
}

void require_encoder(const std::string& wanted, const ModelFacts& model) {
  if (wanted == "auto" || wanted == model.encoder) return;
  throw Failure("--encoder " + wanted + " was asked for but '" + model.model + "' " +
                (model.encoder.empty() ? "has none of the published encoders" : "has " + model.encoder));
}

RefinePipeline::RefinePipeline(const RefineOptions& options)
    : pipeline_(GST_ELEMENT(gst_object_ref_sink(gst_pipeline_new("refine")))),
      refine_(make("rgbdrefine", "r")),
      rgb_(make("appsrc", "rgb")),
      depth_(make("appsrc", "depth")),
      sink_(make("appsink", "refined")),
      bus_(gst_element_get_bus(pipeline_.get())) {
  GstElement* refine = refine_.get();
  if (!options.model.empty()) g_object_set(refine, "model", options.model.c_str(), nullptr);
  g_object_set(refine, "device", options.device.c_str(), "optimize", options.optimize, "input-size",
               options.input_size, "depth-unit", 1 / options.steps_per_metre, "max-depth",
               options.max_depth_m, "max-hole", options.max_hole, "temporal", options.temporal, "qos", FALSE,
               nullptr);
  gst_util_set_object_arg(G_OBJECT(refine), "precision", options.precision.c_str());
  for (GstElement* source : {rgb_.get(), depth_.get()})
    g_object_set(source, "format", GST_FORMAT_TIME, nullptr);
  const OwnedCaps wanted(gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "GRAY16_LE", nullptr));
  g_object_set(sink_.get(), "caps", wanted.get(), "sync", FALSE, nullptr);
  GstAppSinkCallbacks callbacks = {};
  callbacks.new_sample = announce_frame;
  gst_app_sink_set_callbacks(GST_APP_SINK(sink_.get()), &callbacks, nullptr, nullptr);

  // The bin takes a reference of its own to each.
  gst_bin_add_many(GST_BIN(pipeline_.get()), rgb_.get(), depth_.get(), refine, sink_.get(), nullptr);
  if (!gst_element_link_pads(rgb_.get(), "src", refine, "rgb") ||
      !gst_element_link_pads(depth_.get(), "src", refine, "depth") || !gst_element_link(refine, sink_.get()))
    throw Failure("the elements of the pipeline cannot be linked");

  if (gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
    const OwnedMessage message(gst_bus_pop_filtered(bus_.get(), GST_MESSAGE_ERROR));
    throw Failure(message ? text_of(message.get()) : "the pipeline does not start");
  }
  require_encoder(options.encoder, facts());
}

ModelFacts RefinePipeline::facts() const {
  const auto stats = stats_of(refine_.get());
  return {text_field(stats.get(), "architecture"), text_field(stats.get(), "encoder"),
          text_field(stats.get(), "model"), text_field(stats.get(), "device"),
          text_field(stats.get(), "precision")};
}

void RefinePipeline::push(GstElement* source, OwnedBuffer buffer, OwnedCaps caps) {
  GST_BUFFER_PTS(buffer.get()) = frames_ * kFrameDuration;
  GST_BUFFER_DURATION(buffer.get()) = kFrameDuration;
  const OwnedSample sample(gst_sample_new(buffer.get(), caps.get(), nullptr, nullptr));
  gst_app_src_push_sample(GST_APP_SRC(source), sample.get());
}

OwnedSample RefinePipeline::wait_for_frame() {
  constexpr auto kAwaited =
      static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_WARNING | GST_MESSAGE_APPLICATION);
  for (;;) {
    const OwnedMessage message(gst_bus_timed_pop_filtered(bus_.get(), GST_CLOCK_TIME_NONE, kAwaited));
    switch (GST_MESSAGE_TYPE(message.get())) {
      case GST_MESSAGE_WARNING:
        // The element passes over a pair that it cannot use; then no frame comes.
        if (count_field(stats_of(refine_.get()).get(), "dropped-bad") > 0)
          throw Failure(text_of(message.get()));
        std::fprintf(stderr, "Warning: %s\n", text_of(message.get()).c_str());
        break;
      case GST_MESSAGE_ERROR:
        throw Failure(text_of(message.get()));
      default:
        return OwnedSample(gst_app_sink_pull_sample(GST_APP_SINK(sink_.get())));
    }
  }
}

RefinedFrame RefinePipeline::refine(const ColorFrame& color, const DepthFrame& depth) {
  push(rgb_.get(), buffer_of(color), video_caps("RGB", color.width, color.height));
  push(depth_.get(), buffer_of(depth, false), video_caps("GRAY16_LE", depth.width, depth.height));
  ++frames_;
  RefinedFrame refined{depth_frame_of(wait_for_frame().get())};
  // No depth came out: the network did not run, and what the element tells is of an earlier pair.
  const std::vector<uint16_t>& steps = refined.depth.steps;
  if (std::all_of(steps.begin(), steps.end(), [](uint16_t step) { return step == 0; })) return refined;
  const auto stats = stats_of(refine_.get());
  refined.min_inverse_depth = number_field(stats.get(), "min-inverse-depth");
  refined.max_inverse_depth = number_field(stats.get(), "max-inverse-depth");
  return refined;
}

}  // namespace rgbd
