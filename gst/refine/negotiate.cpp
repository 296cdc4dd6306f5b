// SPDX-License-Identifier: Apache-2.0
// Caps and allocation. Caps of a sink pad act when they reach its head, in the source task, and the src caps
// that follow from them leave before the next aggregate().
#include <cstring>
#include <memory>
#include <optional>

#include "gst/depth_unit.h"
#include "gst/refine/src_caps.h"
#include "gst/refine/state.h"

#define GST_CAT_DEFAULT rgbd_refine_caps_debug

namespace rgbd::refine {
namespace {

void update_frame_durations(GstRgbdRefine* self) {
  State& state = *self->state;
  GstClockTime rgb = frame_length(state.inputs[kRgb]), depth = frame_length(state.inputs[kDepth]);
  GstClockTime either = GST_CLOCK_TIME_IS_VALID(rgb) ? rgb : depth;
  GST_OBJECT_LOCK(self);
  state.frame_duration = GST_CLOCK_TIME_IS_VALID(either) ? either : kFrameWithoutRate;
  state.shorter_frame = MIN(state.frame_duration, depth);
  GST_OBJECT_UNLOCK(self);
}

/// Those of the structures that are of frames in CUDA memory, or the others. Transfer full.
GstCaps* in_memory(const GstCaps* caps, bool cuda) {
  GstCaps* found = gst_caps_new_empty();
  for (guint i = 0; i < gst_caps_get_size(caps); ++i) {
    const GstCapsFeatures* features = gst_caps_get_features(caps, i);
    if (is_cuda_memory(features) != cuda) continue;
    gst_caps_append_structure_full(found, gst_structure_copy(gst_caps_get_structure(caps, i)),
                                   gst_caps_features_copy(features));
  }
  return found;
}

/// Only the rates that downstream takes. Takes `caps`; transfer full.
GstCaps* at_rates_of(GstCaps* caps, const GstCaps* downstream) {
  GstCaps* rates = gst_caps_new_empty();
  for (guint i = 0; i < gst_caps_get_size(downstream); ++i) {
    const GValue* rate = gst_structure_get_value(gst_caps_get_structure(downstream, i), "framerate");
    GstStructure* s = gst_structure_new_empty("video/x-raw");
    if (rate) gst_structure_set_value(s, "framerate", rate);
    rates = gst_caps_merge_structure_full(rates, s, gst_caps_features_new_any());  // in whatever memory
  }
  GstCaps* both = gst_caps_intersect_full(caps, rates, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref(rates);
  gst_caps_unref(caps);
  return both;
}

}  // namespace

std::optional<int> cuda_device_of(GstRgbdRefine* self) {
  // The model is loaded before the pads are activated, so no caps are agreed on before its device is known.
  // Queries that come earlier, when elements are linked or ask for a context, have the property to go by.
  std::shared_ptr<Refiner> refiner = self->state->model.current();
  gchar* name = g_ascii_strdown(
      refiner ? refiner->info().device.c_str() : settings_of(self).options.device.c_str(), -1);
  std::optional<int> device;
  if (g_str_has_prefix(name, "cuda:")) {
    device = static_cast<int>(g_ascii_strtoll(name + std::strlen("cuda:"), nullptr, 10));
  } else if (g_str_equal(name, "cuda") || (!refiner && (g_str_equal(name, "auto") || !*name))) {
    device = 0;
  }
  g_free(name);
  return device;
}

double input_unit(const Settings& settings, const Input& depth) {
  if (settings.depth_unit > 0) return settings.depth_unit;
  return depth.caps_unit > 0 ? depth.caps_unit : RGBD_DEFAULT_DEPTH_UNIT;
}

gboolean set_input_caps(GstRgbdRefine* self, InputIndex index, GstCaps* caps) {
  State& state = *self->state;
  Input& input = state.inputs[index];
  // Until they are found to be usable. The base class goes on after a refusal, and frames may follow.
  input.has_caps = false;
  GstVideoInfo info;
  if (!gst_video_info_from_caps(&info, caps)) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("The caps of the %s pad are no video caps.", GST_PAD_NAME(self->pads[index])),
                      ("%" GST_PTR_FORMAT, caps));
    return FALSE;
  }
  int width = GST_VIDEO_INFO_WIDTH(&info), height = GST_VIDEO_INFO_HEIGHT(&info);
  if (index == kRgb && MIN(width, height) < kSmallestSide) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("Colour frames of %dx%d are too small: both sides need at least %d pixels.", width,
                       height, kSmallestSide),
                      (nullptr));
    return FALSE;
  }
  if (index == kRgb && MAX(width, height) > int64_t{kMostAspect} * MIN(width, height)) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("Colour frames of %dx%d are too long: one side may be %d times the other.", width,
                       height, kMostAspect),
                      (nullptr));
    return FALSE;
  }
  bool has_unit = gst_structure_has_field(gst_caps_get_structure(caps, 0), RGBD_CAPS_DEPTH_UNIT);
  if (index == kDepth && has_unit && !depth_unit_of(caps) && settings_of(self).depth_unit == 0) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("The field depth-unit of the depth caps has to be a positive number of metres; the "
                       "property depth-unit overrides it."),
                      ("caps %" GST_PTR_FORMAT, caps));
    return FALSE;
  }
  GST_INFO_OBJECT(self->pads[index], "%" GST_PTR_FORMAT, caps);
  input.info = info;
  state.steadying.forget();
  input.cuda_device.reset();  // were there none, CUDA memory would be read through host memory
  if (is_cuda_memory(gst_caps_get_features(caps, 0))) input.cuda_device = cuda_device_of(self);
  input.has_caps = true;
  if (index == kDepth) input.caps_unit = depth_unit_of(caps).value_or(0);
  update_frame_durations(self);
  gst_pad_mark_reconfigure(GST_AGGREGATOR_SRC_PAD(self));
  report_latency(self);
  if (index == kRgb) warm_up(self, {width, height});
  return TRUE;
}

GstCaps* sink_caps(GstRgbdRefine* self, InputIndex index, GstCaps* filter) {
  GstCaps* caps = gst_pad_get_pad_template_caps(GST_PAD(self->pads[index]));
  if (index == kRgb) {
    // Refined depth comes at the rate of the colour frames, so a rate that downstream wants is theirs too.
    if (GstCaps* allowed = gst_pad_get_allowed_caps(GST_AGGREGATOR_SRC_PAD(self))) {
      caps = at_rates_of(caps, allowed);
      gst_caps_unref(allowed);
    }
  }
  if (filter) {
    GstCaps* both = gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref(caps);
    caps = both;
  }
  if (index == kRgb) {
    // CUDA memory first, whatever the filter prefers: cudaupload names the memory it gets before the one it
    // can make of it, and would pass frames through.
    GstCaps* cuda = cuda_device_of(self) ? in_memory(caps, true) : gst_caps_new_empty();
    GstCaps* system = in_memory(caps, false);
    gst_caps_unref(caps);
    gst_caps_append(cuda, system);
    caps = cuda;
  }
  return caps;
}

GstFlowReturn update_src_caps(GstAggregator* aggregator, GstCaps* downstream, GstCaps** chosen) {
  auto* self = GST_RGBD_REFINE(aggregator);
  State& state = *self->state;
  const Input &rgb = state.inputs[kRgb], &depth = state.inputs[kDepth];
  if (!rgb.has_caps || !depth.has_caps) return GST_AGGREGATOR_FLOW_NEED_DATA;
  *chosen = choose_src_caps(rgb.info, input_unit(settings_of(self), depth), downstream);
  if (!gst_caps_is_empty(*chosen)) return GST_FLOW_OK;
  GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                    ("Downstream takes no 16-bit depth at the colour stream's framerate of %d/%d.",
                     GST_VIDEO_INFO_FPS_N(&rgb.info), GST_VIDEO_INFO_FPS_D(&rgb.info)),
                    ("downstream takes %" GST_PTR_FORMAT, downstream));
  return GST_FLOW_NOT_NEGOTIATED;
}

gboolean negotiated_src_caps(GstAggregator* aggregator, GstCaps* caps) {
  State& state = *GST_RGBD_REFINE(aggregator)->state;
  GstVideoInfo info;
  double unit = depth_unit_of(caps).value_or(RGBD_DEFAULT_DEPTH_UNIT);
  if (!gst_video_info_from_caps(&info, caps)) {
    GST_ELEMENT_ERROR(aggregator, STREAM, FORMAT, ("Depth frames of that size cannot be made."),
                      ("%" GST_PTR_FORMAT, caps));
    return FALSE;
  }
  if (!state.has_output || unit != state.output_unit || !gst_video_info_is_equal(&info, &state.output)) {
    gst_clear_buffer(&state.last_refined);
  }
  GST_INFO_OBJECT(aggregator, "output %" GST_PTR_FORMAT, caps);
  state.output = info;
  state.output_unit = unit;
  state.has_output = true;
  return TRUE;
}

gboolean decide_allocation(GstAggregator* aggregator, GstQuery* query) {
  GstCaps* caps = nullptr;
  gst_query_parse_allocation(query, &caps, nullptr);
  GstVideoInfo info;
  if (!caps || !gst_video_info_from_caps(&info, caps)) return FALSE;

  // Alignment and padding that downstream wants, and its kind of memory.
  GstAllocator* allocator = nullptr;
  GstAllocationParams params;
  gst_allocation_params_init(&params);
  if (gst_query_get_n_allocation_params(query) > 0) {
    gst_query_parse_nth_allocation_param(query, 0, &allocator, &params);
  } else {
    gst_query_add_allocation_param(query, nullptr, &params);
  }

  GstBufferPool* pool = nullptr;
  guint size = static_cast<guint>(GST_VIDEO_INFO_SIZE(&info)), min = 0, max = 0;
  bool offered = gst_query_get_n_allocation_pools(query) > 0;
  if (offered) {
    guint pool_size = 0;
    gst_query_parse_nth_allocation_pool(query, 0, &pool, &pool_size, &min, &max);
    size = MAX(size, pool_size);
  }
  bool own = !pool;
  if (own) {
    pool = gst_video_buffer_pool_new();
    min = max = 0;
  }
  GstStructure* config = gst_buffer_pool_get_config(pool);
  gst_buffer_pool_config_set_params(config, caps, size, min, max);
  gst_buffer_pool_config_set_allocator(config, allocator, &params);
  if (gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr)) {
    gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  }
  if (!gst_buffer_pool_set_config(pool, config) && !own) {
    // Downstream's pool changed what was asked of it: take ours rather than frames of another layout.
    gst_object_unref(pool);
    pool = gst_video_buffer_pool_new();
    config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, size, 0, 0);
    gst_buffer_pool_config_set_allocator(config, allocator, &params);
    gst_buffer_pool_set_config(pool, config);
    min = max = 0;
  }
  if (offered) {
    gst_query_set_nth_allocation_pool(query, 0, pool, size, min, max);
  } else {
    gst_query_add_allocation_pool(query, pool, size, min, max);
  }
  gst_object_unref(pool);
  if (allocator) gst_object_unref(allocator);
  return TRUE;
}

gboolean propose_allocation(GstAggregator* aggregator, GstAggregatorPad* pad, GstQuery*, GstQuery* query) {
  auto* self = GST_RGBD_REFINE(aggregator);
  // Padded rows and planes in odd places are read as they are; in system memory, no pool of ours is better
  // than upstream's.
  gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
  if (pad == self->pads[kRgb]) self->state->cuda.propose_pool(query);
  return TRUE;
}

}  // namespace rgbd::refine
