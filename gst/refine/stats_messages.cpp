// SPDX-License-Identifier: Apache-2.0
// The property `stats` as an element message every `stats-interval`, on the system clock: also, and above
// all, while no frame comes and nothing goes out.
#include <utility>

#include "gst/refine/state.h"

namespace rgbd::refine {
namespace {

/// Shorter intervals would flood the bus.
constexpr GstClockTime kShortest = GST_MSECOND;

gboolean post_stats(GstClock*, GstClockTime, GstClockID, gpointer element) {
  auto* self = GST_RGBD_REFINE(element);
  gst_element_post_message(GST_ELEMENT(self),
                           gst_message_new_element(GST_OBJECT(self), stats_structure(self)));
  return TRUE;
}

}  // namespace

GstStructure* stats_structure(GstRgbdRefine* self) {
  std::shared_ptr<Refiner> refiner = self->state->model.current();
  return self->state->stats.structure(refiner ? &refiner->info() : nullptr);
}

void restart_stats_messages(GstRgbdRefine* self) {
  State& state = *self->state;
  GST_OBJECT_LOCK(self);
  GstClockTime interval = state.started ? state.settings.stats_interval : 0;
  GstClockID id = nullptr;
  if (interval > 0) {
    interval = MAX(interval, kShortest);
    GstClock* clock = gst_system_clock_obtain();
    id = gst_clock_new_periodic_id(clock, gst_clock_get_time(clock) + interval, interval);
    gst_object_unref(clock);
    gst_clock_id_wait_async(id, post_stats, gst_object_ref(self), gst_object_unref);
  }
  GstClockID before = std::exchange(state.stats_messages, id);
  GST_OBJECT_UNLOCK(self);
  if (!before) return;
  gst_clock_id_unschedule(before);
  gst_clock_id_unref(before);
}

void run_stats_messages(GstRgbdRefine* self, bool started) {
  GST_OBJECT_LOCK(self);
  self->state->started = started;
  GST_OBJECT_UNLOCK(self);
  restart_stats_messages(self);
}

}  // namespace rgbd::refine
