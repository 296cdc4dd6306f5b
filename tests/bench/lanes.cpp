// SPDX-License-Identifier: Apache-2.0
// See lanes.h.
#include "tests/bench/lanes.h"

#include <gst/app/gstappsrc.h>

#include <algorithm>
#include <stdexcept>

namespace rgbd::bench {
namespace {

constexpr GstClockTime kLook = 20 * GST_MSECOND;  // how often the bus is looked at

std::string description(const LaneOptions& options) {
  std::string text;
  for (int i = 0; i < options.lanes; ++i) {
    const std::string n = std::to_string(i);
    // A camera does not wait for its frames to be taken; anything else does, a few frames ahead.
    const std::string source = options.live ? " format=time is-live=true max-bytes=0 "
                                            : " format=time block=true max-bytes=0 max-buffers=3 ";
    text += "rgbdrefine name=r" + n + " model-instance-id=bench " + options.properties + " ! ";
    text += options.live ? "queue ! fakesink name=k" + n + " sync=true qos=true max-lateness=20000000 "
                         : "fakesink name=k" + n + " sync=false qos=false ";
    text += "appsrc name=c" + n + source + "! r" + n + ".rgb ";
    text += "appsrc name=d" + n + source + "! r" + n + ".depth ";
  }
  return text;
}

}  // namespace

struct Lanes::Lane {
  Lanes* all = nullptr;
  Owned<GstElement> rgb, depth, refine, sink;
  std::atomic<uint64_t> out{0};
  std::thread feeder;
};

Lanes::Lanes(const LaneOptions& options) : options_(options) {
  GError* error = nullptr;
  pipeline_.reset(gst_parse_launch(description(options).c_str(), &error));
  if (error) throw std::runtime_error(error->message);
  for (int i = 0; i < options.lanes; ++i) {
    const auto find = [&](const char* kind) {
      return Owned<GstElement>(
          gst_bin_get_by_name(GST_BIN(pipeline_.get()), (kind + std::to_string(i)).c_str()));
    };
    auto lane = std::make_unique<Lane>();
    lane->all = this;
    lane->rgb = find("c");
    lane->depth = find("d");
    lane->refine = find("r");
    lane->sink = find("k");
    if (!options.model.empty()) g_object_set(lane->refine.get(), "model", options.model.c_str(), nullptr);
    GstPad* pad = gst_element_get_static_pad(lane->refine.get(), "src");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, &Lanes::on_frame, lane.get(), nullptr);
    gst_object_unref(pad);
    lanes_.push_back(std::move(lane));
  }
}

Lanes::~Lanes() {
  stop_ = true;
  gst_element_set_state(pipeline_.get(), GST_STATE_NULL);  // a feeder that waits for room is let go
  for (auto& lane : lanes_)
    if (lane->feeder.joinable()) lane->feeder.join();
}

GstPad* Lanes::rgb_pad() const {
  GstPad* pad = gst_element_get_static_pad(lanes_.front()->refine.get(), "rgb");
  gst_object_unref(pad);  // the element keeps it
  return pad;
}

GstStructure* Lanes::stats() const {
  GstStructure* stats = nullptr;
  g_object_get(lanes_.front()->refine.get(), "stats", &stats, nullptr);
  return stats;
}

void Lanes::change_state(GstState state) {
  if (gst_element_set_state(pipeline_.get(), state) != GST_STATE_CHANGE_FAILURE) return;
  watch(0);  // throws what was said
  throw std::runtime_error("the pipeline does not start");
}

void Lanes::set_caps(const Frames& frames) {
  for (auto& lane : lanes_) {
    gst_app_src_set_caps(GST_APP_SRC(lane->rgb.get()), frames.rgb_caps.get());
    gst_app_src_set_caps(GST_APP_SRC(lane->depth.get()), frames.depth_caps.get());
  }
}

void Lanes::pause(const Frames& frames) {
  set_caps(frames);
  change_state(GST_STATE_PAUSED);
}

void Lanes::play(const Frames& frames) {
  set_caps(frames);  // by now they may be in other memory
  change_state(GST_STATE_PLAYING);
  for (auto& lane : lanes_)
    lane->feeder = std::thread([this, &lane = *lane, &frames] { feed(lane, frames); });
}

void Lanes::feed(Lane& lane, const Frames& frames) {
  const GstClockTime period = GST_SECOND / static_cast<GstClockTime>(options_.fps);
  GstClock* clock = options_.live ? gst_element_get_clock(pipeline_.get()) : nullptr;
  const GstClockTime base = gst_element_get_base_time(pipeline_.get());
  // Cameras are not in step.
  const auto index = static_cast<GstClockTime>(
      std::find_if(lanes_.begin(), lanes_.end(), [&](const auto& l) { return l.get() == &lane; }) -
      lanes_.begin());
  const GstClockTime first = clock ? gst_clock_get_time(clock) - base + period * index / lanes_.size() : 0;
  for (uint64_t n = 0; !stop_; ++n) {
    const GstClockTime shot = first + n * period;
    if (clock) {
      GstClockID until = gst_clock_new_single_shot_id(clock, base + shot);
      gst_clock_id_wait(until, nullptr);
      gst_clock_id_unref(until);
    }
    for (const bool colour : {true, false}) {
      const auto& buffers = colour ? frames.rgb : frames.depth;
      GstBuffer* buffer =
          gst_buffer_copy(buffers[n % buffers.size()].get());  // of what it says, not of pixels
      GST_BUFFER_PTS(buffer) = shot;
      GST_BUFFER_DURATION(buffer) = period;
      auto* source = GST_APP_SRC((colour ? lane.rgb : lane.depth).get());
      if (gst_app_src_push_buffer(source, buffer) != GST_FLOW_OK) stop_ = true;
    }
  }
  if (clock) gst_object_unref(clock);
}

GstPadProbeReturn Lanes::on_frame(GstPad*, GstPadProbeInfo*, gpointer data) {
  auto* lane = static_cast<Lane*>(data);
  ++lane->out;
  const auto now = Clock::now();
  std::lock_guard lock(lane->all->mutex_);
  lane->all->times_.push_back(now);
  return GST_PAD_PROBE_OK;
}

void Lanes::watch(GstClockTime wait) {
  const auto kinds = static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_EOS | GST_MESSAGE_WARNING |
                                                 GST_MESSAGE_LATENCY);
  GstBus* bus = gst_element_get_bus(pipeline_.get());
  GstMessage* message = gst_bus_timed_pop_filtered(bus, wait, kinds);
  gst_object_unref(bus);
  if (!message) return;
  const GstMessageType type = GST_MESSAGE_TYPE(message);
  GError* error = nullptr;
  if (type == GST_MESSAGE_ERROR) gst_message_parse_error(message, &error, nullptr);
  if (type == GST_MESSAGE_WARNING) gst_message_parse_warning(message, &error, nullptr);
  const std::string text = error ? error->message : "the stream ended";
  g_clear_error(&error);
  gst_message_unref(message);
  if (type == GST_MESSAGE_LATENCY) {
    gst_bin_recalculate_latency(GST_BIN(pipeline_.get()));
  } else if (type == GST_MESSAGE_WARNING) {
    g_printerr("bench-element: warning: %s\n", text.c_str());
  } else {
    throw std::runtime_error(text);
  }
}

void Lanes::run_until(uint64_t count) {
  const auto done = [&] {
    std::lock_guard lock(mutex_);
    return times_.size() >= count;
  };
  while (!done()) watch(kLook);
}

void Lanes::run_for(std::chrono::milliseconds time) {
  const auto end = Clock::now() + time;
  while (Clock::now() < end) watch(kLook);
}

Lanes::Clock::time_point Lanes::time_of(uint64_t count) const {
  std::lock_guard lock(mutex_);
  return times_.at(count - 1);
}

std::vector<LaneCounts> Lanes::counts() const {
  std::vector<LaneCounts> all;
  for (const auto& lane : lanes_) {
    LaneCounts counts;
    counts.out = lane->out;
    GstStructure* stats = nullptr;
    g_object_get(lane->refine.get(), "stats", &stats, nullptr);
    for (int i = 0; i < gst_structure_n_fields(stats); ++i) {
      const std::string name = gst_structure_nth_field_name(stats, static_cast<guint>(i));
      guint64 dropped = 0;
      if (name.starts_with("dropped-") && gst_structure_get_uint64(stats, name.c_str(), &dropped))
        counts.dropped += dropped;
    }
    gst_structure_free(stats);
    g_object_get(lane->sink.get(), "stats", &stats, nullptr);
    guint64 late = 0;
    gst_structure_get_uint64(stats, "dropped", &late);
    gst_structure_free(stats);
    counts.late = late;
    all.push_back(counts);
  }
  return all;
}

}  // namespace rgbd::bench
