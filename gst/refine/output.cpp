// SPDX-License-Identifier: Apache-2.0
// From a decided pair to a buffer downstream: through the network, around it, or as a gap.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gst/refine/bridge.h"
#include "gst/refine/buffer_ptr.h"
#include "gst/refine/raw_depth.h"
#include "gst/refine/state.h"

#define GST_CAT_DEFAULT rgbd_refine_infer_debug

namespace rgbd::refine {
namespace {

constexpr const char* kRefusedCaps = "its caps were refused";

void warn_once(GstRgbdRefine* self, bool& said, const std::string& text) {
  if (std::exchange(said, true)) {
    GST_DEBUG_OBJECT(self, "%s", text.c_str());
  } else {
    GST_ELEMENT_WARNING(self, STREAM, DECODE, ("%s", text.c_str()), ("said once; see the property stats"));
  }
}

GstFlowReturn pass_over_bad(GstRgbdRefine* self, GstBuffer* rgb, const char* problem) {
  State& state = *self->state;
  state.stats.dropped(Drop::kBad);
  warn_once(self, state.said.bad_frame, std::string("A pair is passed over: ") + problem + ".");
  return push_nothing(self, rgb);
}

/// Whoever interrupted tells downstream, or stops it; an event of ours might have to wait there.
GstFlowReturn drop_flushed(State& state) {
  state.stats.dropped(Drop::kFlushed);
  state.discontinuous = true;
  return GST_AGGREGATOR_FLOW_NEED_DATA;
}

BufferPtr allocate(GstRgbdRefine* self) {
  GstBuffer* buffer = nullptr;
  if (GstBufferPool* pool = gst_aggregator_get_buffer_pool(GST_AGGREGATOR(self))) {
    // Waiting for a buffer could not be cancelled.
    GstBufferPoolAcquireParams params{};
    params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
    if (gst_buffer_pool_is_active(pool) || gst_buffer_pool_set_active(pool, TRUE)) {
      gst_buffer_pool_acquire_buffer(pool, &buffer, &params);
    }
    gst_object_unref(pool);
  }
  if (!buffer) {
    gsize size = GST_VIDEO_INFO_SIZE(&self->state->output);
    GstAllocator* allocator = nullptr;
    GstAllocationParams wanted;
    gst_aggregator_get_allocator(GST_AGGREGATOR(self), &allocator, &wanted);
    buffer = gst_buffer_new_allocate(allocator, size, &wanted);
    if (allocator) gst_object_unref(allocator);
    if (!buffer)
      throw Error(ErrorCode::kOutOfMemory,
                  "there is no memory for a depth frame of " + std::to_string(size) + " bytes");
  }
  return BufferPtr(buffer);
}

ColorFrame read_color(GstRgbdRefine* self, GstBuffer* rgb) {
  State& state = *self->state;
  const Input& input = state.inputs[kRgb];
  if (input.cuda_device) return state.cuda.read(GST_ELEMENT(self), rgb, input.info, *input.cuda_device);
  return {image_view(std::make_shared<MappedFrame>(rgb, input.info, GST_MAP_READ, "rgb"))};
}

/// `flushes`: of the inputs when the frames came that are in it.
GstFlowReturn push(GstRgbdRefine* self, BufferPtr out, GstBuffer* rgb, Made how, const Flushes& flushes) {
  State& state = *self->state;
  auto* aggregator = GST_AGGREGATOR(self);
  if (flushes != Flushes{state.interrupt.flushes(kRgb), state.interrupt.flushes(kDepth)})
    return drop_flushed(state);
  copy_metadata(rgb, state.inputs[kRgb].info, out.get(), state.output);
  GST_BUFFER_FLAG_UNSET(out.get(), GST_BUFFER_FLAG_GAP);
  gst_aggregator_selected_samples(aggregator, GST_BUFFER_PTS(rgb), GST_BUFFER_DTS(rgb),
                                  GST_BUFFER_DURATION(rgb), nullptr);
  if (GST_BUFFER_PTS_IS_VALID(rgb)) {
    GST_OBJECT_LOCK(self);
    GST_AGGREGATOR_PAD(aggregator->srcpad)->segment.position =
        GST_BUFFER_PTS(rgb) + (GST_BUFFER_DURATION_IS_VALID(rgb) ? GST_BUFFER_DURATION(rgb) : 0);
    GST_OBJECT_UNLOCK(self);
  }
  if (std::exchange(state.discontinuous, false)) GST_BUFFER_FLAG_SET(out.get(), GST_BUFFER_FLAG_DISCONT);
  state.stats.frame_out(how);
  state.segment_sent = true;
  state.late_since = GST_CLOCK_TIME_NONE;
  return gst_aggregator_finish_buffer(aggregator, out.release());
}

}  // namespace

GstFlowReturn push_refined(GstRgbdRefine* self, const Settings& settings, GstBuffer* rgb, GstBuffer* depth) {
  State& state = *self->state;
  for (InputIndex index : {kRgb, kDepth}) {
    if (!state.inputs[index].has_caps) return pass_over_bad(self, rgb, kRefusedCaps);
  }
  if (!state.has_output) {
    state.stats.dropped(Drop::kUnpairedRgb);
    return push_nothing(self, rgb);
  }
  GstClockTime began = gst_util_get_timestamp();
  const Flushes flushes{state.inputs[kRgb].flushes, state.inputs[kDepth].flushes};
  try {
    ColorFrame color = read_color(self, rgb);
    auto measured = std::make_shared<MappedFrame>(depth, state.inputs[kDepth].info, GST_MAP_READ, "depth");
    BufferPtr buffer = allocate(self);
    auto refined = std::make_shared<MappedFrame>(
        buffer.get(), state.output, settings.temporal > 0 ? GST_MAP_READWRITE : GST_MAP_WRITE, "output");
    DepthView input = depth_view(measured, input_unit(settings, state.inputs[kDepth]), settings.min_depth_m,
                                 settings.max_depth_m);
    input.max_hole = settings.max_hole;
    DepthOut output = depth_out(refined, state.output_unit);

    if (!has_depth(input)) {
      warn_once(self, state.said.no_depth,
                "A depth frame has no valid pixel; there is no depth in its output either.");
      write_zeros(output);
      state.steadying.forget();
    } else {
      std::optional<Result> result = run_pair(state, color.view, input, output, flushes);
      if (!result) return drop_flushed(state);
      state.steadying.steady(*state.runtime, settings.temporal, output);
      if (color.downloaded_bytes > 0) ++result->device_to_host_copies;
      result->device_to_host_bytes += color.downloaded_bytes;
      GstClockTime took = gst_util_get_timestamp() - began;
      state.stats.refined(*result, static_cast<double>(took) / GST_MSECOND);
      GST_LOG_OBJECT(self, "refined %" GST_TIME_FORMAT " in %" GST_TIME_FORMAT,
                     GST_TIME_ARGS(GST_BUFFER_PTS(rgb)), GST_TIME_ARGS(took));
      if (state.latency.add(took)) report_latency(self);
    }
    refined->unmap();
    gst_clear_buffer(&state.last_refined);
    if (settings.skip_policy == SkipPolicy::kRepeat) {
      state.last_refined = gst_buffer_copy(buffer.get());
      state.last_refined_flushes = flushes;
    }
    return push(self, std::move(buffer), rgb, Made::kRefined, flushes);
  } catch (const BadFrame& bad) {
    return pass_over_bad(self, rgb, bad.what());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    return pass_over_bad(self, rgb, error.what());
  }
}

GstFlowReturn push_skipped(GstRgbdRefine* self, const Settings& settings, GstBuffer* rgb, GstBuffer* depth,
                           int64_t skew, Drop otherwise) {
  State& state = *self->state;
  BufferPtr out;
  Made how = Made::kRaw;
  const Flushes flushes{state.inputs[kRgb].flushes,
                        depth ? state.inputs[kDepth].flushes : state.interrupt.flushes(kDepth)};
  // Of before a flush, also of one pad alone.
  if (state.last_refined_flushes != Flushes{state.interrupt.flushes(kRgb), state.interrupt.flushes(kDepth)})
    gst_clear_buffer(&state.last_refined);
  try {
    if (settings.skip_policy == SkipPolicy::kRaw && depth && state.has_output) {
      if (!state.inputs[kDepth].has_caps) return pass_over_bad(self, rgb, kRefusedCaps);
      auto measured = std::make_shared<MappedFrame>(depth, state.inputs[kDepth].info, GST_MAP_READ, "depth");
      out = allocate(self);
      auto raw = std::make_shared<MappedFrame>(out.get(), state.output, GST_MAP_WRITE, "output");
      write_raw(depth_view(measured, input_unit(settings, state.inputs[kDepth]), 0, 0),
                depth_out(raw, state.output_unit));
    } else if (settings.skip_policy == SkipPolicy::kRepeat && state.last_refined) {
      out.reset(gst_buffer_copy(state.last_refined));
      how = Made::kRepeated;
    }
  } catch (const BadFrame& bad) {
    return pass_over_bad(self, rgb, bad.what());
  }
  if (!out) {
    state.stats.dropped(otherwise);
    return push_nothing(self, rgb);
  }
  GstCustomMeta* meta = gst_buffer_add_custom_meta(out.get(), kSkipMeta);
  gst_structure_set(gst_custom_meta_get_structure(meta), "refined", G_TYPE_BOOLEAN, FALSE, "skew",
                    G_TYPE_INT64, gint64{skew}, nullptr);
  return push(self, std::move(out), rgb, how, flushes);
}

GstFlowReturn push_nothing(GstRgbdRefine* self, GstBuffer* rgb) {
  State& state = *self->state;
  state.discontinuous = true;
  // A synchronising sink holds each gap as long as a frame, and behind a camera every next pair would be too
  // old by then. Live mixers have deadlines of their own, and the muxers that wait, those on GstCollectPads,
  // take no notice of gaps: they want leaky=none.
  if (!GST_CLOCK_TIME_IS_VALID(state.upstream_latency)) push_gap(self, rgb);
  return GST_AGGREGATOR_FLOW_NEED_DATA;
}

void push_gap(GstRgbdRefine* self, GstBuffer* gap) {
  if (!GST_BUFFER_PTS_IS_VALID(gap)) return;
  GstEvent* event = gst_event_new_gap(GST_BUFFER_PTS(gap), GST_BUFFER_DURATION(gap));
#if GST_CHECK_VERSION(1, 26, 0)
  gst_aggregator_push_src_event(GST_AGGREGATOR(self), event);
#else
  // Before its first buffer, this base class has not sent the segment that the gap lies in.
  if (self->state->segment_sent) {
    gst_pad_push_event(GST_AGGREGATOR_SRC_PAD(self), event);
  } else {
    gst_event_unref(event);
  }
#endif
}

}  // namespace rgbd::refine
