// SPDX-License-Identifier: Apache-2.0
// How long a live frame waits for its partner, and what is known of a pad that stays silent.
#include <cstdlib>
#include <utility>

#include "gst/refine/state.h"

#define GST_CAT_DEFAULT rgbd_refine_live_debug

namespace rgbd::refine {
namespace {

/// A pad is said to be silent after so long.
constexpr GstClockTime kSilence = GST_SECOND;

InputIndex other(InputIndex index) {
  return index == kRgb ? kDepth : kRgb;
}

GstClockTime less(GstClockTime a, GstClockTime b) {
  return a > b ? a - b : 0;
}

/// `ahead` is so far before the other pad that what waits there has no partner.
void say_apart(GstRgbdRefine* self, InputIndex ahead, int64_t by) {
  if (std::exchange(self->state->said.apart, true)) return;
  GST_ELEMENT_WARNING(self, STREAM, FAILED,
                      ("The %s pad is %.1f s ahead of the %s pad, whose frames have no partner until then.",
                       GST_PAD_NAME(self->pads[ahead]), static_cast<double>(by) / GST_SECOND,
                       GST_PAD_NAME(self->pads[other(ahead)])),
                      (nullptr));
}

void say_silent(GstRgbdRefine* self, InputIndex index) {
  GstPad* pad = GST_PAD(self->pads[index]);
  if (!gst_pad_is_linked(pad) || std::exchange(self->state->said.silent, true)) return;
  GST_ELEMENT_WARNING(
      self, STREAM, FAILED,
      ("No frame has come on the %s pad for a second, while the %s pad gets some; they have no partner.",
       GST_PAD_NAME(pad), GST_PAD_NAME(self->pads[other(index)])),
      (nullptr));
}

}  // namespace

/// The base class adds all the latency we report. So a frame waits a frame's time after its timestamp and
/// upstream's latency, but also a frame's time after it was first seen alone: many a camera is slower than it
/// says, and its frames would be past their time before their partners can come. Not so while the other pad
/// is silent, or a backlog would build up. In any case it ends before `leaky` would drop the frame, whatever
/// skip-policy wants.
GstClockTime get_next_time(GstAggregator* aggregator) {
  auto* self = GST_RGBD_REFINE(aggregator);
  State& state = *self->state;
  const Settings settings = settings_of(self);
  if (state.by_order) return GST_CLOCK_TIME_NONE;
  GstClockTime now = running_now(self), frame = frame_duration_of(self), next = GST_CLOCK_TIME_NONE;
  GstClockTime upstream = GST_CLOCK_TIME_IS_VALID(state.upstream_latency) ? state.upstream_latency : 0;
  GstClockTime latency = upstream + state.own_latency;
  for (InputIndex index : {kRgb, kDepth}) {
    Input& input = state.inputs[index];
    if (!gst_aggregator_pad_has_buffer(self->pads[index])) continue;
    GstClockTime running_time = clock_time(input.head);
    if (!GST_CLOCK_TIME_IS_VALID(running_time)) continue;
    // The part of the latency that is for inference is not for waiting.
    GstClockTime until = less(running_time, state.latency.reported_ns());
    if (GST_CLOCK_TIME_IS_VALID(now)) {
      if (!GST_CLOCK_TIME_IS_VALID(input.seen)) input.seen = now;
      bool silent = GST_CLOCK_TIME_IS_VALID(state.inputs[other(index)].silent_since);
      if (!silent) until = MAX(until, less(input.seen + frame, latency));
      if (settings.leaky != Leaky::kNone) {
        GstClockTime too_old = running_time + allowed_age(self, settings);
        until = MIN(until, less(too_old, latency + frame / 4));
      }
    }
    next = MIN(next, until);
  }
  return next;
}

void note_distance(GstRgbdRefine* self, const Head& rgb, const Head& depth) {
  if (rgb.running_time == kUntimed || depth.running_time == kUntimed || rgb.gap || depth.gap) return;
  int64_t later = depth.running_time - rgb.running_time;
  if (std::abs(later) >= int64_t{kSilence}) say_apart(self, later > 0 ? kDepth : kRgb, std::abs(later));
}

void note_silence(GstRgbdRefine* self, InputIndex index, GstClockTime running_time) {
  GstClockTime& since = self->state->inputs[index].silent_since;
  if (!GST_CLOCK_TIME_IS_VALID(running_time)) return;
  if (!GST_CLOCK_TIME_IS_VALID(since) || since > running_time) since = running_time;
  if (running_time - since >= kSilence) say_silent(self, index);
}

}  // namespace rgbd::refine
