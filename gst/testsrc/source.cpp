// SPDX-License-Identifier: Apache-2.0
// Renders frames by number; the base class does live sync, segments and EOS. See source.h.
#include "gst/testsrc/source.h"

#include <gst/base/gstpushsrc.h>
#include <gst/video/video.h>

#include <memory>
#include <new>

#include "gst/testsrc/camera.h"
#include "gst/testsrc/negotiate.h"

GST_DEBUG_CATEGORY_STATIC(rgbd_test_source_debug);
#define GST_CAT_DEFAULT rgbd_test_source_debug

namespace {

enum { kPropSeed = 1, kPropSensor, kPropMotion, kPropNumBuffers, kPropIsLive };

constexpr auto kDefaultSensor = rgbd::SensorKind::kStereo;
constexpr auto kDefaultMotion = rgbd::Motion::kBoth;

}  // namespace

struct GstRgbdTestSource {
  GstPushSrc parent;
  guint seed;
  rgbd::SensorKind sensor;
  rgbd::Motion motion;
  gint num_buffers;  // OBJECT_LOCK; frames of the whole stream, -1 = endless

  // Streaming thread.
  std::unique_ptr<rgbd::TestCamera> camera;
  rgbd::FrameFormat format;  // OBJECT_LOCK to write, and to read elsewhere
  gint64 next_frame;
  bool sought;  // next_frame has to be found from the segment's position
  // Time base_time belongs to base_frame: both move on when the framerate changes, and are 0 again after a
  // seek. OBJECT_LOCK as format.
  gint64 base_frame;
  GstClockTime base_time;
};
struct GstRgbdTestSourceClass {
  GstPushSrcClass parent;
};
G_DEFINE_TYPE(GstRgbdTestSource, gst_rgbd_test_source, GST_TYPE_PUSH_SRC)
static GstRgbdTestSource* cast(gpointer object) {
  return static_cast<GstRgbdTestSource*>(object);
}

namespace rgbd {

GType sensor_type() {
  static const GEnumValue kValues[] = {
      {static_cast<int>(SensorKind::kNone), "The true depth in whole millimetres", "none"},
      {static_cast<int>(SensorKind::kStereo), "Active stereo camera, 50 mm baseline", "stereo"},
      {static_cast<int>(SensorKind::kStructuredLight), "Structured light camera, 75 mm baseline",
       "structured-light"},
      {static_cast<int>(SensorKind::kTof), "Time-of-flight camera", "tof"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstRgbdTestSrcSensor", kValues);
  return type;
}

GType motion_type() {
  static const GEnumValue kValues[] = {
      {static_cast<int>(Motion::kNone), "Nothing; noise alone differs from frame to frame", "none"},
      {static_cast<int>(Motion::kObjects), "Some things in the room", "objects"},
      {static_cast<int>(Motion::kCamera), "The camera", "camera"},
      {static_cast<int>(Motion::kBoth), "Some things and the camera", "both"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstRgbdTestSrcMotion", kValues);
  return type;
}

void install_source_properties(GObjectClass* object_class) {
  constexpr auto kFlags =
      static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  g_object_class_install_property(
      object_class, kPropSeed,
      g_param_spec_uint("seed", "Seed",
                        "Which room is shown and which noise; the same seed gives the same bytes everywhere",
                        0, G_MAXUINT, 0, kFlags));
  g_object_class_install_property(
      object_class, kPropSensor,
      g_param_spec_enum("sensor", "Sensor",
                        "The kind of depth camera whose noise, holes and shadows pad depth has",
                        sensor_type(), static_cast<int>(kDefaultSensor), kFlags));
  g_object_class_install_property(
      object_class, kPropMotion,
      g_param_spec_enum("motion", "Motion", "What moves from frame to frame; the rest stands still",
                        motion_type(), static_cast<int>(kDefaultMotion), kFlags));
  g_object_class_install_property(
      object_class, kPropNumBuffers,
      g_param_spec_int("num-buffers", "Number of buffers",
                       "Frames on each pad before EOS, also the stream's length (-1 = endless)", -1, G_MAXINT,
                       -1, kFlags));
  g_object_class_install_property(
      object_class, kPropIsLive,
      g_param_spec_boolean("is-live", "Is live",
                           "Whether frames come at the pace of the clock, as a camera's do", FALSE, kFlags));
}

}  // namespace rgbd

// The three below need OBJECT_LOCK or the streaming thread.

static GstClockTime time_of(const GstRgbdTestSource* self, gint64 frame) {
  const gint64 ahead = frame - self->base_frame;
  const GstClockTime distance = gst_util_uint64_scale(static_cast<guint64>(ABS(ahead)),
                                                      self->format.fps_d * GST_SECOND, self->format.fps_n);
  if (ahead >= 0) return self->base_time + distance;
  return self->base_time - MIN(self->base_time, distance);
}

/// The frame that is shown at a time.
static gint64 frame_at(const GstRgbdTestSource* self, GstClockTime time) {
  if (time < self->base_time) {
    const guint64 behind = gst_util_uint64_scale_ceil(self->base_time - time, self->format.fps_n,
                                                      self->format.fps_d * GST_SECOND);
    return MAX(self->base_frame - static_cast<gint64>(behind), 0);
  }
  const guint64 ahead =
      gst_util_uint64_scale(time - self->base_time, self->format.fps_n, self->format.fps_d * GST_SECOND);
  const auto frame = self->base_frame + static_cast<gint64>(ahead);
  return time_of(self, frame + 1) <= time ? frame + 1 : frame;  // times are rounded down
}

static GstClockTime duration_of(const GstRgbdTestSource* self) {
  return self->num_buffers < 0 ? GST_CLOCK_TIME_NONE : time_of(self, self->num_buffers);
}

static gboolean gst_rgbd_test_source_start(GstBaseSrc* base) {
  GstRgbdTestSource* self = cast(base);
  self->camera = std::make_unique<rgbd::TestCamera>(self->seed, self->sensor, self->motion);
  self->next_frame = self->base_frame = 0;
  self->base_time = 0;
  self->sought = false;
  self->format = {};
  return TRUE;
}

static gboolean gst_rgbd_test_source_stop(GstBaseSrc* base) {
  cast(base)->camera.reset();
  return TRUE;
}

static gboolean gst_rgbd_test_source_negotiate(GstBaseSrc* base) {
  GstRgbdTestSource* self = cast(base);
  GstCaps* offers = gst_pad_peer_query_caps(base->srcpad, nullptr);
  rgbd::FrameFormat format;
  GstCaps* caps = nullptr;
  if (!gst_caps_is_any(offers) && !gst_caps_is_empty(offers))
    caps = rgbd::choose_format(gst_caps_get_structure(offers, 0), format);
  GST_DEBUG_OBJECT(self, "out of %" GST_PTR_FORMAT " chose %" GST_PTR_FORMAT, offers, caps);
  gst_caps_unref(offers);
  if (!caps) return FALSE;
  GST_OBJECT_LOCK(self);
  if (format.fps_n != self->format.fps_n || format.fps_d != self->format.fps_d) {
    // Where the last frame and the next one meet.
    const gint64 meeting = self->next_frame + (base->segment.rate < 0 ? 1 : 0);
    self->base_time = time_of(self, meeting);
    self->base_frame = meeting;
  }
  self->format = format;
  GST_OBJECT_UNLOCK(self);
  const gboolean done = gst_base_src_set_caps(base, caps);
  gst_caps_unref(caps);
  return done;
}

static GstFlowReturn gst_rgbd_test_source_create(GstPushSrc* push, GstBuffer** out) {
  GstRgbdTestSource* self = cast(push);
  const GstSegment& segment = GST_BASE_SRC(push)->segment;
  const bool backwards = segment.rate < 0;
  if (self->sought) {
    self->sought = false;
    // Whatever rates there were before, from here the stream is what it is at the current one.
    GST_OBJECT_LOCK(self);
    self->base_frame = 0;
    self->base_time = 0;
    GST_OBJECT_UNLOCK(self);
    self->next_frame = frame_at(self, segment.position);
    if (backwards && time_of(self, self->next_frame) >= segment.position) --self->next_frame;
  }
  const gint64 frame = self->next_frame;
  GST_OBJECT_LOCK(self);
  const bool ended = frame < 0 || (self->num_buffers >= 0 && frame >= self->num_buffers);
  GST_OBJECT_UNLOCK(self);
  if (ended) return GST_FLOW_EOS;

  GstBuffer* buffer = gst_buffer_new();
  try {
    self->camera->render(static_cast<guint64>(frame), self->format, buffer);
  } catch (const std::bad_alloc&) {
    gst_buffer_unref(buffer);
    GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT, ("There is not enough memory to render a frame."),
                      (nullptr));
    return GST_FLOW_ERROR;
  }
  GST_BUFFER_PTS(buffer) = time_of(self, frame);
  GST_BUFFER_DURATION(buffer) = time_of(self, frame + 1) - time_of(self, frame);
  GST_BUFFER_OFFSET(buffer) = static_cast<guint64>(frame);
  GST_BUFFER_OFFSET_END(buffer) = static_cast<guint64>(frame) + 1;
  self->next_frame += backwards ? -1 : 1;
  *out = buffer;
  return GST_FLOW_OK;
}

static void gst_rgbd_test_source_get_times(GstBaseSrc* base, GstBuffer* buffer, GstClockTime* start,
                                           GstClockTime* end) {
  *start = *end = GST_CLOCK_TIME_NONE;
  if (!gst_base_src_is_live(base)) return;
  *start = GST_BUFFER_PTS(buffer);
  *end = *start + GST_BUFFER_DURATION(buffer);
}

static gboolean gst_rgbd_test_source_is_seekable(GstBaseSrc* base) {
  return !gst_base_src_is_live(base);
}

/// The framerate may not be known yet, so the frame is found when it is needed.
static gboolean gst_rgbd_test_source_do_seek(GstBaseSrc* base, GstSegment* segment) {
  segment->time = segment->start;
  cast(base)->sought = true;
  return TRUE;
}

static gboolean gst_rgbd_test_source_query(GstBaseSrc* base, GstQuery* query) {
  GstRgbdTestSource* self = cast(base);
  GstFormat from, to;
  gint64 value, result = -1;
  GST_OBJECT_LOCK(self);
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_DURATION:
      gst_query_parse_duration(query, &from, nullptr);
      if (from == GST_FORMAT_TIME)
        result = static_cast<gint64>(duration_of(self));
      else if (from == GST_FORMAT_DEFAULT)
        result = self->num_buffers;
      GST_OBJECT_UNLOCK(self);
      if (result >= 0) gst_query_set_duration(query, from, result);
      return result >= 0;
    case GST_QUERY_CONVERT:
      gst_query_parse_convert(query, &from, &value, &to, nullptr);
      if (from == to || value < 0)
        result = value;
      else if (from == GST_FORMAT_TIME && to == GST_FORMAT_DEFAULT)
        result = frame_at(self, static_cast<GstClockTime>(value));
      else if (from == GST_FORMAT_DEFAULT && to == GST_FORMAT_TIME)
        result = static_cast<gint64>(time_of(self, value));
      else
        break;
      GST_OBJECT_UNLOCK(self);
      gst_query_set_convert(query, from, value, to, result);
      return TRUE;
    default:
      break;
  }
  GST_OBJECT_UNLOCK(self);
  return GST_BASE_SRC_CLASS(gst_rgbd_test_source_parent_class)->query(base, query);
}

static void gst_rgbd_test_source_set_property(GObject* object, guint id, const GValue* value,
                                              GParamSpec* spec) {
  GstRgbdTestSource* self = cast(object);
  switch (id) {
    case kPropSeed:
      self->seed = g_value_get_uint(value);
      break;
    case kPropSensor:
      self->sensor = static_cast<rgbd::SensorKind>(g_value_get_enum(value));
      break;
    case kPropMotion:
      self->motion = static_cast<rgbd::Motion>(g_value_get_enum(value));
      break;
    case kPropNumBuffers:
      GST_OBJECT_LOCK(self);
      self->num_buffers = g_value_get_int(value);
      GST_OBJECT_UNLOCK(self);
      break;
    case kPropIsLive:
      gst_base_src_set_live(GST_BASE_SRC(object), g_value_get_boolean(value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
}

static void gst_rgbd_test_source_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  GstRgbdTestSource* self = cast(object);
  switch (id) {
    case kPropSeed:
      g_value_set_uint(value, self->seed);
      break;
    case kPropSensor:
      g_value_set_enum(value, static_cast<int>(self->sensor));
      break;
    case kPropMotion:
      g_value_set_enum(value, static_cast<int>(self->motion));
      break;
    case kPropNumBuffers:
      g_value_set_int(value, self->num_buffers);
      break;
    case kPropIsLive:
      g_value_set_boolean(value, gst_base_src_is_live(GST_BASE_SRC(object)));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
}

static void gst_rgbd_test_source_finalize(GObject* object) {
  std::destroy_at(&cast(object)->camera);
  G_OBJECT_CLASS(gst_rgbd_test_source_parent_class)->finalize(object);
}

static void gst_rgbd_test_source_init(GstRgbdTestSource* self) {
  std::construct_at(&self->camera);
  std::construct_at(&self->format);
  self->sensor = kDefaultSensor;
  self->motion = kDefaultMotion;
  self->num_buffers = -1;
  gst_base_src_set_format(GST_BASE_SRC(self), GST_FORMAT_TIME);
}

static void gst_rgbd_test_source_class_init(GstRgbdTestSourceClass* klass) {
  GST_DEBUG_CATEGORY_INIT(rgbd_test_source_debug, "rgbdtestsrc", 0, "RGB-D test source");
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_rgbd_test_source_set_property;
  object_class->get_property = gst_rgbd_test_source_get_property;
  object_class->finalize = gst_rgbd_test_source_finalize;
  rgbd::install_source_properties(object_class);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  gst_element_class_set_static_metadata(element_class, "RGB-D test frame source", "Source/Video",
                                        "Renders the frames of rgbdtestsrc", "rgbdrefine");
  GstCaps* caps = gst_caps_new_empty_simple(rgbd::kFrameCaps);
  gst_element_class_add_pad_template(element_class,
                                     gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
  gst_caps_unref(caps);
  auto* base_class = GST_BASE_SRC_CLASS(klass);
  base_class->start = gst_rgbd_test_source_start;
  base_class->stop = gst_rgbd_test_source_stop;
  base_class->negotiate = gst_rgbd_test_source_negotiate;
  base_class->get_times = gst_rgbd_test_source_get_times;
  base_class->is_seekable = gst_rgbd_test_source_is_seekable;
  base_class->do_seek = gst_rgbd_test_source_do_seek;
  base_class->query = gst_rgbd_test_source_query;
  GST_PUSH_SRC_CLASS(klass)->create = gst_rgbd_test_source_create;
}
