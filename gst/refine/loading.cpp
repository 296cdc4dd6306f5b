// SPDX-License-Identifier: Apache-2.0
// The model's life: loaded in READY->PAUSED, warmed up where a camera waits, exchanged while frames flow.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gst/refine/errors.h"
#include "gst/refine/state.h"

#define GST_CAT_DEFAULT rgbd_refine_model_debug

namespace rgbd::refine {
namespace {

/// Frame size to warm up for when upstream does not say yet: what most cameras send.
constexpr FrameSize kUsualSize{640, 480};

/// A made-up pair of more pixels would take half a gigabyte and more because caps say so, of frames that may
/// never come. The first real one is the warm-up then.
bool can_be_warmed_up(FrameSize size) {
  constexpr int64_t kMostPixels = int64_t{64} << 20;
  return int64_t{size.width} * size.height <= kMostPixels;
}

bool upstream_is_live(GstRgbdRefine* self) {
  for (GstAggregatorPad* pad : self->pads) {
    GstQuery* query = gst_query_new_latency();
    gboolean live = FALSE;
    if (gst_pad_peer_query(GST_PAD(pad), query)) gst_query_parse_latency(query, &live, nullptr, nullptr);
    gst_query_unref(query);
    if (live) return true;
  }
  return false;
}

/// The colour frames' size as far as upstream has settled on one.
FrameSize upstream_size(GstRgbdRefine* self) {
  FrameSize size = kUsualSize;
  GstCaps* caps = gst_pad_peer_query_caps(GST_PAD(self->pads[kRgb]), nullptr);
  if (caps && !gst_caps_is_any(caps) && !gst_caps_is_empty(caps)) {
    const GstStructure* s = gst_caps_get_structure(caps, 0);
    int width = 0, height = 0;
    if (gst_structure_get_int(s, "width", &width) && gst_structure_get_int(s, "height", &height)) {
      size = {width, height};
    }
  }
  gst_clear_caps(&caps);
  return size;
}

void post_warnings(GstRgbdRefine* self, const Info& info) {
  for (const std::string& warning : info.warnings) {
    GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("%s", warning.c_str()), (nullptr));
  }
}

void post_model_updated(GstRgbdRefine* self, const std::string& model, const char* error) {
  gchar* name = g_utf8_make_valid(model.c_str(), -1);  // a file may be called anything
  GstStructure* structure = gst_structure_new("rgbd-model-updated", "model", G_TYPE_STRING, name, "error",
                                              G_TYPE_STRING, error, nullptr);
  g_free(name);
  gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), structure));
}

/// Runs the network twice and starts the latency estimate from it: the first run at a size is slower than the
/// steady state, the second one tells how fast it will be. `run` answers false when it was cancelled.
template <typename Run>
void run_warm_up(State& state, FrameSize size, Run&& run) {
  if (!run()) return;
  GstClockTime before = gst_util_get_timestamp();
  if (!run()) return;
  state.latency.reset(gst_util_get_timestamp() - before);
  state.warm = size;
}

struct Swap {
  uint64_t id;
  std::string model;
};

void keep_old_model(GstRgbdRefine* self, const Swap& swap, const char* reason) {
  std::string running = self->state->model.running_model();
  GST_OBJECT_LOCK(self);
  std::string& model = self->state->settings.options.model;
  bool restored = model == swap.model;
  if (restored) model = running;
  GST_OBJECT_UNLOCK(self);
  if (restored) g_object_notify(G_OBJECT(self), "model");
  GST_ELEMENT_WARNING(self, RESOURCE, READ, ("The model stays as it was: %s", reason), (nullptr));
  post_model_updated(self, swap.model, reason);
}

void run_swap(GstElement* element, gpointer data) {
  auto* self = GST_RGBD_REFINE(element);
  State& state = *self->state;
  const Swap& swap = *static_cast<Swap*>(data);
  try {
    state.model.load_swap(swap.id, state.runtime, swap.model);
  } catch (const std::exception& error) {
    if (!state.model.is_void(swap.id)) keep_old_model(self, swap, error.what());
  } catch (...) {
    if (!state.model.is_void(swap.id))
      keep_old_model(self, swap, "an exception of an unknown type was thrown");
  }
}

}  // namespace

gboolean start(GstAggregator* aggregator) {
  auto* self = GST_RGBD_REFINE(aggregator);
  State& state = *self->state;
  end_unfinished_flush(self);
  gboolean started = guarded<gboolean>(GST_ELEMENT(self), "loading the model", FALSE, [&] {
    state.stats.reset();
    state.qos.reset();
    state.said = {};
    state.said_unlinked = false;
    state.pair_count = 0;
    state.warm = {};
    state.latency.reset(0);
    const Settings settings = settings_of(self);
    const Options& options = settings.options;
    state.by_order = settings.sync_mode == SyncMode::kOrder;
    state.model.open(state.runtime, options);
    std::shared_ptr<Refiner> refiner = state.model.current();
    const Info& info = refiner->info();
    post_warnings(self, info);
    GST_INFO_OBJECT(self, "%s, model %s (%s %s), %s on %s", info.runtime.c_str(), info.model.c_str(),
                    info.architecture.c_str(), info.encoder.c_str(),
                    refiner->info().optimize ? "optimized" : "plain", info.device.c_str());
    if (std::optional<int> device = cuda_device_of(self)) state.cuda.publish(GST_ELEMENT(self), *device);
    // A file's first frame may take its time; a camera's may not.
    FrameSize size = upstream_size(self);
    if (upstream_is_live(self) && can_be_warmed_up(size)) {
      run_warm_up(state, size, [&] {
        refiner->warm_up(size.width, size.height);
        return true;
      });
    }
    report_latency(self);
    // Set while the first one loaded. Whoever sets it from now on finds the model open.
    if (settings_of(self).options.model != options.model) swap_model(self);
    return TRUE;
  });
  // The base class does not call stop() then.
  if (!started) state.model.close();
  run_stats_messages(self, started);
  return started;
}

gboolean stop(GstAggregator* aggregator) {
  auto* self = GST_RGBD_REFINE(aggregator);
  State& state = *self->state;
  run_stats_messages(self, false);
  state.model.close();
  state.inputs = {};
  state.upstream_latency = state.pipeline_latency = state.late_since = GST_CLOCK_TIME_NONE;
  state.dropped_alone = kUntimed;
  state.has_output = false;
  state.segment_sent = state.discontinuous = false;
  gst_clear_buffer(&state.last_refined);
  state.steadying = {};
  GST_OBJECT_LOCK(self);
  state.frame_duration = state.shorter_frame = kFrameWithoutRate;
  GST_OBJECT_UNLOCK(self);
  return TRUE;
}

void warm_up(GstRgbdRefine* self, FrameSize size) {
  State& state = *self->state;
  state.model.set_frame_size(size);
  // Without a live source the first frame itself is the warm-up, and can be cancelled.
  if (size == state.warm || !can_be_warmed_up(size) ||
      !GST_CLOCK_TIME_IS_VALID(gst_aggregator_get_latency(GST_AGGREGATOR(self))))
    return;
  GST_DEBUG_OBJECT(self, "warming up for %dx%d", size.width, size.height);
  guarded<bool>(GST_ELEMENT(self), "warming the model up", false, [&] {
    run_warm_up(state, size, [&] { return run_blank_pair(state, size); });
    report_latency(self);
    return true;
  });
}

void report_latency(GstRgbdRefine* self) {
  State& state = *self->state;
  GstClockTime frame = frame_duration_of(self);
  // A pair waits at most a frame for its second half; each live pad holds two frames more.
  state.own_latency = frame + state.latency.reported_ns();
  GST_CAT_DEBUG_OBJECT(rgbd_refine_live_debug, self,
                       "our latency is %" GST_TIME_FORMAT ", of which a frame %" GST_TIME_FORMAT,
                       GST_TIME_ARGS(state.own_latency), GST_TIME_ARGS(frame));
  gst_aggregator_set_latency(GST_AGGREGATOR(self), state.own_latency, state.own_latency + 2 * frame);
}

void swap_model(GstRgbdRefine* self) {
  State& state = *self->state;
  if (!state.model.is_open()) return;
  auto* swap = new Swap{state.model.announce_swap(), settings_of(self).options.model};
  gst_element_call_async(GST_ELEMENT(self), run_swap, swap,
                         [](gpointer data) { delete static_cast<Swap*>(data); });
}

void take_swapped_model(GstRgbdRefine* self) {
  State& state = *self->state;
  if (!state.model.take_swapped()) return;
  std::shared_ptr<Refiner> refiner = state.model.current();
  if (!refiner) return;
  state.latency.forget();
  state.steadying.forget();
  post_warnings(self, refiner->info());
  GST_INFO_OBJECT(self, "exchanged for %s", refiner->info().model.c_str());
  post_model_updated(self, refiner->info().model, nullptr);
}

}  // namespace rgbd::refine
