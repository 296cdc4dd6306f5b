// SPDX-License-Identifier: Apache-2.0
// The properties of rgbdrefine; names are those of GStreamer core and DL Streamer.
#include "gst/refine/state.h"

#define GST_CAT_DEFAULT rgbd_refine_debug

#include <string>

namespace rgbd::refine {
namespace {

enum {
  kPropModel = 1,
  kPropDevice,
  kPropPrecision,
  kPropOptimize,
  kPropInputSize,
  kPropChannelOrder,
  kPropDepthUnit,
  kPropMinDepth,
  kPropMaxDepth,
  kPropMaxHole,
  kPropTemporal,
  kPropModelInstanceId,
  kPropBatchSize,
  kPropBatchTimeout,
  kPropInferenceInterval,
  kPropSkipPolicy,
  kPropPtsTolerance,
  kPropSyncMode,
  kPropLeaky,
  kPropMaxPairs,
  kPropQos,
  kPropStats,
  kPropStatsInterval,
};

constexpr auto kBelowPaused =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kAnyTime =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);

GType register_enum(const char* name, const GEnumValue* values) {
  GType type = g_enum_register_static(name, values);
  gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  return type;
}

template <typename Enum>
constexpr int value_of(Enum value) {
  return static_cast<int>(value);
}

GType precision_type() {
  static const GEnumValue values[] = {
      {value_of(Precision::kFp32), "32 bit floating point", "fp32"},
      {value_of(Precision::kFp16), "16 bit floating point, CUDA and MPS", "fp16"},
      {value_of(Precision::kBf16), "bfloat16, CUDA from compute capability 8.0", "bf16"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstRgbdRefinePrecision", values);
  return type;
}

GType channel_order_type() {
  static const GEnumValue values[] = {
      {value_of(ChannelOrder::kAuto), "what the model's metadata say, else BGR", "auto"},
      {value_of(ChannelOrder::kRgb), "red first", "rgb"},
      {value_of(ChannelOrder::kBgr), "blue first, as the published programs feed it", "bgr"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstRgbdRefineChannelOrder", values);
  return type;
}

GType skip_policy_type() {
  static const GEnumValue values[] = {
      {value_of(SkipPolicy::kDrop), "nothing comes out", "drop"},
      {value_of(SkipPolicy::kRaw), "the camera's depth, resized; nothing where there is none", "raw"},
      {value_of(SkipPolicy::kRepeat), "the last refined depth again", "repeat"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstRgbdRefineSkipPolicy", values);
  return type;
}

GType sync_mode_type() {
  static const GEnumValue values[] = {
      {value_of(SyncMode::kRunningTime), "by running time, within pts-tolerance", "running-time"},
      {value_of(SyncMode::kOrder),
       "the nth with the nth, for unrelated clocks; a lost frame shifts all later pairs", "order"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstRgbdRefineSyncMode", values);
  return type;
}

GType leaky_type() {
  static const GEnumValue values[] = {
      {value_of(Leaky::kAuto), "downstream when upstream is live, else none", "auto"},
      {value_of(Leaky::kNone), "nothing is dropped for its age", "none"},
      {value_of(Leaky::kDownstream), "old pairs are dropped", "downstream"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstRgbdRefineLeaky", values);
  return type;
}

std::string string_of(const GValue* value) {
  const char* text = g_value_get_string(value);
  return text ? text : "";
}

bool only_below_paused(guint id) {
  switch (id) {
    case kPropDevice:
    case kPropPrecision:
    case kPropOptimize:
    case kPropInputSize:
    case kPropChannelOrder:
    case kPropModelInstanceId:
    case kPropBatchSize:
    case kPropBatchTimeout:
    case kPropSyncMode:
      return true;
    default:
      return false;
  }
}

/// Under OBJECT_LOCK. False: no such property.
bool store(Settings& s, guint id, const GValue* value) {
  switch (id) {
    case kPropModel:
      s.options.model = string_of(value);
      return true;
    case kPropDevice:
      s.options.device = string_of(value);
      if (s.options.device.empty()) s.options.device = "auto";
      return true;
    case kPropPrecision:
      s.options.precision = static_cast<Precision>(g_value_get_enum(value));
      return true;
    case kPropOptimize:
      s.options.optimize = g_value_get_boolean(value);
      return true;
    case kPropInputSize:
      s.options.input_size = g_value_get_uint(value);
      return true;
    case kPropChannelOrder:
      s.options.channel_order = static_cast<ChannelOrder>(g_value_get_enum(value));
      return true;
    case kPropDepthUnit:
      s.depth_unit = g_value_get_double(value);
      return true;
    case kPropMinDepth:
      s.min_depth_m = g_value_get_double(value);
      return true;
    case kPropMaxDepth:
      s.max_depth_m = g_value_get_double(value);
      return true;
    case kPropMaxHole:
      s.max_hole = g_value_get_double(value);
      return true;
    case kPropTemporal:
      s.temporal = g_value_get_double(value);
      return true;
    case kPropModelInstanceId:
      s.options.instance_id = string_of(value);
      return true;
    case kPropBatchSize:
      s.options.batch_size = g_value_get_uint(value);
      return true;
    case kPropBatchTimeout:
      s.options.batch_timeout_ns = g_value_get_uint64(value);
      return true;
    case kPropInferenceInterval:
      s.inference_interval = g_value_get_uint(value);
      return true;
    case kPropSkipPolicy:
      s.skip_policy = static_cast<SkipPolicy>(g_value_get_enum(value));
      return true;
    case kPropPtsTolerance:
      s.pts_tolerance = g_value_get_uint64(value);
      return true;
    case kPropSyncMode:
      s.sync_mode = static_cast<SyncMode>(g_value_get_enum(value));
      return true;
    case kPropLeaky:
      s.leaky = static_cast<Leaky>(g_value_get_enum(value));
      return true;
    case kPropMaxPairs:
      s.max_pairs = g_value_get_uint(value);
      return true;
    case kPropQos:
      s.qos = g_value_get_boolean(value);
      return true;
    case kPropStatsInterval:
      s.stats_interval = g_value_get_uint64(value);
      return true;
    default:
      return false;
  }
}

void set_string_or_null(GValue* value, const std::string& text) {
  g_value_set_string(value, text.empty() ? nullptr : text.c_str());
}

bool load(const Settings& s, guint id, GValue* value) {
  switch (id) {
    case kPropModel:
      set_string_or_null(value, s.options.model);
      return true;
    case kPropDevice:
      g_value_set_string(value, s.options.device.c_str());
      return true;
    case kPropPrecision:
      g_value_set_enum(value, value_of(s.options.precision));
      return true;
    case kPropOptimize:
      g_value_set_boolean(value, s.options.optimize);
      return true;
    case kPropInputSize:
      g_value_set_uint(value, s.options.input_size);
      return true;
    case kPropChannelOrder:
      g_value_set_enum(value, value_of(s.options.channel_order));
      return true;
    case kPropDepthUnit:
      g_value_set_double(value, s.depth_unit);
      return true;
    case kPropMinDepth:
      g_value_set_double(value, s.min_depth_m);
      return true;
    case kPropMaxDepth:
      g_value_set_double(value, s.max_depth_m);
      return true;
    case kPropMaxHole:
      g_value_set_double(value, s.max_hole);
      return true;
    case kPropTemporal:
      g_value_set_double(value, s.temporal);
      return true;
    case kPropModelInstanceId:
      set_string_or_null(value, s.options.instance_id);
      return true;
    case kPropBatchSize:
      g_value_set_uint(value, s.options.batch_size);
      return true;
    case kPropBatchTimeout:
      g_value_set_uint64(value, s.options.batch_timeout_ns);
      return true;
    case kPropInferenceInterval:
      g_value_set_uint(value, s.inference_interval);
      return true;
    case kPropSkipPolicy:
      g_value_set_enum(value, value_of(s.skip_policy));
      return true;
    case kPropPtsTolerance:
      g_value_set_uint64(value, s.pts_tolerance);
      return true;
    case kPropSyncMode:
      g_value_set_enum(value, value_of(s.sync_mode));
      return true;
    case kPropLeaky:
      g_value_set_enum(value, value_of(s.leaky));
      return true;
    case kPropMaxPairs:
      g_value_set_uint(value, s.max_pairs);
      return true;
    case kPropQos:
      g_value_set_boolean(value, s.qos);
      return true;
    case kPropStatsInterval:
      g_value_set_uint64(value, s.stats_interval);
      return true;
    default:
      return false;
  }
}

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  auto* self = GST_RGBD_REFINE(object);
  State& state = *self->state;
  if (only_below_paused(id) && state.model.is_open()) {
    GST_WARNING_OBJECT(self, "property %s is read when the element goes to PAUSED; set now, it acts then",
                       spec->name);
  }
  GST_OBJECT_LOCK(self);
  bool known = store(state.settings, id, value);
  GST_OBJECT_UNLOCK(self);
  if (!known) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  } else if (id == kPropModel) {
    swap_model(self);
  } else if (id == kPropDepthUnit) {
    gst_pad_mark_reconfigure(GST_AGGREGATOR_SRC_PAD(self));
  } else if (id == kPropStatsInterval) {
    restart_stats_messages(self);
  }
}

void get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  auto* self = GST_RGBD_REFINE(object);
  if (id == kPropStats) {
    g_value_take_boxed(value, stats_structure(self));
  } else if (!load(settings_of(self), id, value)) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
}

}  // namespace

void install_properties(GObjectClass* object_class) {
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  const Settings defaults;
  auto install = [&](guint id, GParamSpec* spec) { g_object_class_install_property(object_class, id, spec); };

  install(kPropModel, g_param_spec_string(
                          "model", "Model",
                          "Checkpoint file: torch zip (.pt .pth .ckpt) or safetensors. NULL = the installed "
                          "model. Changed while playing, the new one is loaded beside the running one and "
                          "takes over between two frames; a file that cannot be loaded keeps the old one, "
                          "with a warning and the element message rgbd-model-updated {model, error}",
                          nullptr, kAnyTime));
  install(kPropDevice,
          g_param_spec_string("device", "Device",
                              "auto (cuda, then mps, then cpu), cpu, cuda, cuda:N or mps; a device "
                              "that is named and missing is an error",
                              defaults.options.device.c_str(), kBelowPaused));
  install(kPropPrecision,
          g_param_spec_enum("precision", "Precision",
                            "Number format of the network; falls back to fp32, with a warning, "
                            "where the device cannot do it well",
                            precision_type(), value_of(defaults.options.precision), kBelowPaused));
  install(kPropOptimize,
          g_param_spec_boolean("optimize", "Optimize",
                               "Shortcuts with the same result; false = the plain operations, for "
                               "debugging",
                               defaults.options.optimize, kBelowPaused));
  install(kPropInputSize,
          g_param_spec_uint("input-size", "Input size",
                            "Short side of the network's input in pixels; 0 = the model's own (518 "
                            "for the published ones)",
                            0, 16384, defaults.options.input_size, kBelowPaused));
  install(kPropChannelOrder,
          g_param_spec_enum("channel-order", "Channel order", "Order in which the network is fed the colours",
                            channel_order_type(), value_of(defaults.options.channel_order), kBelowPaused));
  install(kPropDepthUnit,
          g_param_spec_double("depth-unit", "Depth unit",
                              "Metres that one step of the input depth is; 0 = the field depth-unit "
                              "of the depth caps, else 0.001",
                              0, 1000, defaults.depth_unit, kAnyTime));
  install(kPropMinDepth, g_param_spec_double("min-depth", "Minimum depth",
                                             "Input depth below this many metres counts as no depth", 0,
                                             G_MAXDOUBLE, defaults.min_depth_m, kAnyTime));
  install(kPropMaxDepth, g_param_spec_double("max-depth", "Maximum depth",
                                             "Input depth above this many metres counts as no depth", 0,
                                             G_MAXDOUBLE, defaults.max_depth_m, kAnyTime));
  install(kPropMaxHole,
          g_param_spec_double("max-hole", "Maximum hole",
                              "The largest hole that is filled, as a fraction of the depth frame: a region "
                              "without depth, connected by its pixels' sides, that is larger stays a hole, "
                              "since nothing measured tells what is there. 1 = all are filled, 0 = none",
                              0, 1, defaults.max_hole, kAnyTime));
  install(
      kPropTemporal,
      g_param_spec_double("temporal", "Temporal",
                          "How much of the frames before goes into a pixel whose depth does not move, which "
                          "steadies it; what moves is taken as it comes. 0 = every frame stands alone",
                          0, 1, defaults.temporal, kAnyTime));
  install(
      kPropModelInstanceId,
      g_param_spec_string(
          "model-instance-id", "Model instance id",
          "Elements with the same id and the same file as model share one loaded model and its worker; "
          "their device, precision, optimize, input-size and channel-order must be equal. NULL = not shared",
          nullptr, kBelowPaused));
  install(kPropBatchSize,
          g_param_spec_uint("batch-size", "Batch size",
                            "Most pairs, of elements with the same model-instance-id, in one forward "
                            "pass; the largest that one of them asks for holds",
                            1, 256, defaults.options.batch_size, kBelowPaused));
  install(kPropBatchTimeout,
          g_param_spec_uint64("batch-timeout", "Batch timeout",
                              "How long a pair waits for its batch to fill, in ns; the largest that one of "
                              "the elements asks for holds",
                              0, G_MAXUINT64, defaults.options.batch_timeout_ns, kBelowPaused));
  install(kPropInferenceInterval, g_param_spec_uint("inference-interval", "Inference interval",
                                                    "Every Nth pair is refined, the others take skip-policy",
                                                    1, G_MAXUINT, defaults.inference_interval, kAnyTime));
  install(kPropSkipPolicy,
          g_param_spec_enum("skip-policy", "Skip policy",
                            "What becomes of a pair that inference-interval skips, and of a colour "
                            "frame without depth",
                            skip_policy_type(), value_of(defaults.skip_policy), kAnyTime));
  install(kPropPtsTolerance,
          g_param_spec_uint64("pts-tolerance", "PTS tolerance",
                              "How far apart the running times of a pair may be, in ns; -1 = half a "
                              "frame of the faster stream (20 ms without a framerate)",
                              0, G_MAXUINT64, defaults.pts_tolerance, kAnyTime));
  install(kPropSyncMode,
          g_param_spec_enum("sync-mode", "Sync mode", "How a colour frame finds its depth frame",
                            sync_mode_type(), value_of(defaults.sync_mode), kBelowPaused));
  install(kPropLeaky,
          g_param_spec_enum(
              "leaky", "Leaky",
              "Before inference, drop pairs that on the pipeline's clock are older than the "
              "latency of upstream and max-pairs frames, or than the pipeline's latency where that is "
              "larger. No pair is lost with none and qos=false",
              leaky_type(), value_of(defaults.leaky), kAnyTime));
  install(kPropMaxPairs,
          g_param_spec_uint("max-pairs", "Maximum pairs",
                            "Age, in frames, beyond which leaky drops a pair; not the length of a queue", 1,
                            1000, defaults.max_pairs, kAnyTime));
  install(kPropQos,
          g_param_spec_boolean("qos", "QoS",
                               "Skip pairs before inference that the sink says it would drop, and post QOS "
                               "messages",
                               defaults.qos, kAnyTime));
  install(kPropStats,
          g_param_spec_boxed("stats", "Statistics",
                             "Frames and pairs in and out, drops by reason, skew of pairs in ns, "
                             "milliseconds of each stage (p50, p95 of the last 128), pairs in a forward "
                             "pass (batch-avg, batch-max), copies between host and device, and the device, "
                             "model and precision in use",
                             GST_TYPE_STRUCTURE,
                             static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  install(kPropStatsInterval,
          g_param_spec_uint64("stats-interval", "Statistics interval",
                              "Post the statistics as an element message every so many ns of the system "
                              "clock, also while nothing flows; 0 = never, less than 1 ms counts as 1 ms",
                              0, G_MAXUINT64, defaults.stats_interval, kAnyTime));
}

}  // namespace rgbd::refine
