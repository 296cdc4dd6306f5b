// SPDX-License-Identifier: Apache-2.0
// What one rgbdrefine element knows, and the functions that its source files share.
//
// Threads: properties and events come from any thread, aggregate() and everything about heads, caps and
// output runs in the source task. Lock order: the base class's (STREAM, SRC, OBJECT, PAD), then ours. Ours
// are leaves, inside Interrupt, Model, Stats, Qos and CudaContext; no two of them are held at once.
#pragma once

#include <gst/video/video.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "gst/plugin.h"
#include "gst/refine/cuda_bridge.h"
#include "gst/refine/debug.h"
#include "gst/refine/interrupt.h"
#include "gst/refine/latency.h"
#include "gst/refine/model.h"
#include "gst/refine/pairing.h"
#include "gst/refine/qos.h"
#include "gst/refine/rgbdrefine.h"
#include "gst/refine/settings.h"
#include "gst/refine/stats.h"
#include "gst/refine/steadying.h"

namespace rgbd::refine {

/// A frame's length where the caps have no framerate: 40 ms, so that half a frame is 20 ms.
inline constexpr GstClockTime kFrameWithoutRate = 40 * GST_MSECOND;

/// One sink pad. Source task only.
struct Input {
  bool has_caps = false;
  GstVideoInfo info;
  double caps_unit = 0;                     // metres per step, of depth caps that say so; else 0
  std::optional<int> cuda_device;           // that reads frames in CUDA memory; nothing: in system memory
  Head head;                                // of the frame at the pad's head, set by clip()
  uint64_t flushes = 0;                     // Interrupt::flushes() when it came
  GstClockTime seen = GST_CLOCK_TIME_NONE;  // running time on the clock when it first waited alone
  /// Running time of the other pad's first frame that waited for one of this pad in vain, since this pad's
  /// last one. NONE: not silent.
  GstClockTime silent_since = GST_CLOCK_TIME_NONE;
};

/// Name of the custom meta on frames that were not refined: {refined: boolean, skew: int64 ns}.
inline constexpr const char* kSkipMeta = "rgbd-refine";

/// Each of these is said once per start.
struct Said {
  bool no_timestamp = false, bad_frame = false, no_depth = false, silent = false, apart = false, late = false;
};

struct State {
  Settings settings;                       // OBJECT_LOCK
  guint32 last_seek = GST_SEQNUM_INVALID;  // OBJECT_LOCK
  bool started = false;                    // OBJECT_LOCK
  GstClockID stats_messages = nullptr;     // OBJECT_LOCK; null: none are posted
  Runtime* runtime = nullptr;              // set at NULL->READY, never changed after
  Interrupt interrupt;
  std::atomic<bool> active = false;  // the src pad
  /// Calls src_activate() to start the task, and for nothing else; null: nobody does.
  std::atomic<GThread*> task_starter = nullptr;
  Model model;
  Stats stats;
  Qos qos;
  CudaContext cuda;
  std::atomic<bool> said_unlinked = false;  // once per start, as Said; upstream's threads
  /// Of the last LATENCY event: how long after its running time a sink shows a frame. NONE: not told yet.
  std::atomic<GstClockTime> pipeline_latency = GST_CLOCK_TIME_NONE;

  // Written by the source task under OBJECT_LOCK, for the threads of events and queries.
  GstClockTime frame_duration = kFrameWithoutRate;  // of the colour stream, else of the depth stream
  GstClockTime shorter_frame = kFrameWithoutRate;   // of the two

  // Source task only.
  std::array<Input, 2> inputs;
  bool by_order = false;    // property sync-mode as of the start: clip() may not take OBJECT_LOCK
  bool has_output = false;  // src caps are set
  GstVideoInfo output;
  double output_unit = 0;             // metres per step
  GstBuffer* last_refined = nullptr;  // for skip-policy=repeat; of the caps `output`
  Flushes last_refined_flushes{};     // of its two frames
  uint64_t pair_count = 0;            // since start or flush, for inference-interval
  bool segment_sent = false;          // a buffer went out since the last SEGMENT
  bool discontinuous = false;         // a colour frame came to nothing since the last buffer
  FrameSize warm;                     // size the running model was warmed up for
  Steadying steadying;
  LatencyEstimate latency;
  GstClockTime own_latency = 0;                         // what the LATENCY query adds to upstream's
  GstClockTime upstream_latency = GST_CLOCK_TIME_NONE;  // as of the last turn; NONE: not live
  /// Running time of the last colour frame dropped for its age while its depth had yet to come.
  int64_t dropped_alone = kUntimed;
  /// When the first colour frame since the last output was dropped as late, on the clock; NONE: none was.
  GstClockTime late_since = GST_CLOCK_TIME_NONE;
  Said said;

  ~State() { gst_clear_buffer(&last_refined); }
};

/// The running time of a head as a time on the clock, NONE without a timestamp.
inline GstClockTime clock_time(const Head& head) {
  if (head.running_time == kUntimed) return GST_CLOCK_TIME_NONE;
  return head.running_time > 0 ? static_cast<GstClockTime>(head.running_time) : 0;
}

/// A frame's length by the input's caps; NONE: they name no framerate.
inline GstClockTime frame_length(const Input& input) {
  if (!input.has_caps || GST_VIDEO_INFO_FPS_N(&input.info) <= 0) return GST_CLOCK_TIME_NONE;
  return gst_util_uint64_scale_int(GST_SECOND, GST_VIDEO_INFO_FPS_D(&input.info),
                                   GST_VIDEO_INFO_FPS_N(&input.info));
}

inline Settings settings_of(GstRgbdRefine* self) {
  GST_OBJECT_LOCK(self);
  Settings copy = self->state->settings;
  GST_OBJECT_UNLOCK(self);
  return copy;
}

inline GstClockTime frame_duration_of(GstRgbdRefine* self) {
  GST_OBJECT_LOCK(self);
  GstClockTime duration = self->state->frame_duration;
  GST_OBJECT_UNLOCK(self);
  return duration;
}

// properties.cpp
void install_properties(GObjectClass* object_class);

// loading.cpp
/// READY->PAUSED: loads the model and warms it up for a live source. Posts the error and returns FALSE.
gboolean start(GstAggregator* aggregator);
gboolean stop(GstAggregator* aggregator);
/// The property `model` changed: when frames flow, loads it beside the running one.
void swap_model(GstRgbdRefine* self);
/// Source task, between two frames.
void take_swapped_model(GstRgbdRefine* self);
/// Source task, live only: inference at this size before the first frame needs it. Can be cancelled.
void warm_up(GstRgbdRefine* self, FrameSize size);
/// Tells the base class what the LATENCY query is to answer.
void report_latency(GstRgbdRefine* self);

// negotiate.cpp
GstFlowReturn update_src_caps(GstAggregator* aggregator, GstCaps* downstream, GstCaps** chosen);
gboolean negotiated_src_caps(GstAggregator* aggregator, GstCaps* caps);
gboolean decide_allocation(GstAggregator* aggregator, GstQuery* query);
gboolean propose_allocation(GstAggregator* aggregator, GstAggregatorPad* pad, GstQuery* decide,
                            GstQuery* query);
/// Number of the CUDA device that the model runs on, or, before it is loaded, may run on. Any thread.
std::optional<int> cuda_device_of(GstRgbdRefine* self);
/// What one step of the input depth is, in metres: property, else caps, else millimetres.
double input_unit(const Settings& settings, const Input& depth);
/// A CAPS event reached the head of `input`. FALSE, with an error posted, when its frames cannot be used.
gboolean set_input_caps(GstRgbdRefine* self, InputIndex input, GstCaps* caps);
GstCaps* sink_caps(GstRgbdRefine* self, InputIndex input, GstCaps* filter);

// events.cpp
gboolean sink_event(GstAggregator* aggregator, GstAggregatorPad* pad, GstEvent* event);
GstFlowReturn sink_event_pre_queue(GstAggregator* aggregator, GstAggregatorPad* pad, GstEvent* event);
gboolean sink_query(GstAggregator* aggregator, GstAggregatorPad* pad, GstQuery* query);
gboolean src_event(GstAggregator* aggregator, GstEvent* event);
gboolean src_query(GstAggregator* aggregator, GstQuery* query);
gboolean src_activate(GstAggregator* aggregator, GstPadMode mode, gboolean active);
/// READY->PAUSED: ends, for the base class, a flush or a flushing seek that the way to READY has cut short.
void end_unfinished_flush(GstRgbdRefine* self);
GstFlowReturn flush(GstAggregator* aggregator);

// aggregate.cpp
GstBuffer* clip(GstAggregator* aggregator, GstAggregatorPad* pad, GstBuffer* buffer);
GstFlowReturn aggregate(GstAggregator* aggregator, gboolean timeout);

// age.cpp
/// Running time on the pipeline's clock; NONE when not playing.
GstClockTime running_now(GstRgbdRefine* self);
/// NONE when no source is live.
GstClockTime upstream_latency(GstRgbdRefine* self);
/// The age at which `leaky` drops: the latency of upstream and max-pairs frames. Where the pipeline's latency
/// is more than upstream's and ours, a sink keeps each frame until then, and so the next ones wait here,
/// though none of them is late: as much is allowed as leaves time for the inference, and one frame for the
/// wait.
GstClockTime allowed_age(GstRgbdRefine* self, const Settings& settings);
/// Counts a colour frame that must not be put out any more because of its age.
bool drop_for_age(GstRgbdRefine* self, const Settings& settings, GstBuffer* rgb, GstClockTime running_time);

// waiting.cpp
/// Until when the base class is to wait for the partner of a frame that waits alone.
GstClockTime get_next_time(GstAggregator* aggregator);
/// One of these two frames has no partner since the other is too far ahead. Says so once, when it is very
/// far.
void note_distance(GstRgbdRefine* self, const Head& rgb, const Head& depth);
/// A frame of `running_time` got no partner from this pad in time. Says so once, when that goes on.
void note_silence(GstRgbdRefine* self, InputIndex index, GstClockTime running_time);

// stats_messages.cpp
/// Transfer full.
GstStructure* stats_structure(GstRgbdRefine* self);
/// From start to stop. Any thread.
void run_stats_messages(GstRgbdRefine* self, bool started);
/// The property changed. Any thread.
void restart_stats_messages(GstRgbdRefine* self);

// run.cpp
/// Waits for the pair, which came when the inputs had been flushed so often. Nothing: a flush, a seek or a
/// state change has cancelled it. Throws Error.
std::optional<Result> run_pair(State& state, const ImageView& image, const DepthView& depth,
                               const DepthOut& out, const Flushes& flushes);
/// The same with a made-up pair of this size. False: cancelled.
bool run_blank_pair(State& state, FrameSize size);

// output.cpp
/// A pair through the network. Takes nothing; pushes, or counts why not.
GstFlowReturn push_refined(GstRgbdRefine* self, const Settings& settings, GstBuffer* rgb, GstBuffer* depth);
/// A colour frame that is not refined: what skip-policy makes of it. `depth` may be null. `otherwise`: the
/// reason to count when nothing goes out.
GstFlowReturn push_skipped(GstRgbdRefine* self, const Settings& settings, GstBuffer* rgb, GstBuffer* depth,
                           int64_t skew, Drop otherwise);
/// A colour frame came to nothing, and its reason is counted: tells so downstream, where a muxer or a
/// compositor that also has the colour stream would wait for its depth. Answers what aggregate() is to
/// answer.
GstFlowReturn push_nothing(GstRgbdRefine* self, GstBuffer* rgb);
/// A colour gap, passed on as it is.
void push_gap(GstRgbdRefine* self, GstBuffer* gap);

}  // namespace rgbd::refine
