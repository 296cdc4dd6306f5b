// SPDX-License-Identifier: Apache-2.0
// depthcolorize: GRAY16 depth to RGB through a table of all 65,536 colours, rebuilt when a setting changes.
/**
 * SECTION:element-depthcolorize
 * @short_description: colours depth frames so that they can be looked at
 *
 * Near is the red end of `spectral`. Depth outside min-depth .. max-depth takes the colour of the nearer
 * end; 0, no depth, takes invalid-color. One step is as many metres as the caps field `depth-unit` says (a
 * millimetre without it); the field is taken away, so that nobody mistakes colours for depth.
 *
 *     gst-launch-1.0 rgbdtestsrc name=s  s.depth ! queue ! depthcolorize ! videoconvert ! autovideosink
 *     gst-launch-1.0 filesrc location=depth.png ! pngdec ! depthcolorize max-depth=2 ! pngenc ! filesink
 * location=c.png
 */
#include <gst/video/gstvideofilter.h>
#include <gst/video/video.h>

#include <memory>

#include "gst/colorize/colormap.h"
#include "gst/depth_unit.h"
#include "gst/plugin.h"

GST_DEBUG_CATEGORY_STATIC(depth_colorize_debug);
#define GST_CAT_DEFAULT depth_colorize_debug

namespace {

constexpr double kDefaultMinDepth = 0.1;
constexpr double kDefaultMaxDepth = 5.0;
constexpr guint kDefaultInvalidColor = 0xff000000;
constexpr int kSteps = 65536;

constexpr char kDepthFormats[] = "{ GRAY16_LE, GRAY16_BE }";
constexpr char kColorFormats[] = "{ RGB, BGR, RGBx, BGRx, xRGB, xBGR, RGBA, BGRA, ARGB, ABGR }";

struct Settings {
  double min_depth_m = kDefaultMinDepth;
  double max_depth_m = kDefaultMaxDepth;
  rgbd::Colormap colormap = rgbd::Colormap::kSpectral;
  guint invalid_color = kDefaultInvalidColor;  // 0xAARRGGBB
};

/// One pixel as it lies in memory; formats of three bytes use the first three.
struct Pixel {
  guint8 bytes[4];
};

}  // namespace

struct GstDepthColorize {
  GstVideoFilter parent;
  Settings settings;    // OBJECT_LOCK
  bool table_is_stale;  // OBJECT_LOCK; settings or caps changed since the table was built
  double depth_unit_m;  // streaming thread
  std::unique_ptr<Pixel[]> table;
};
struct GstDepthColorizeClass {
  GstVideoFilterClass parent;
};

G_DEFINE_TYPE(GstDepthColorize, gst_depth_colorize, GST_TYPE_VIDEO_FILTER)
static GstDepthColorize* cast(gpointer object) {
  return static_cast<GstDepthColorize*>(object);
}

enum { kPropMinDepth = 1, kPropMaxDepth, kPropColormap, kPropInvalidColor };

static GType colormap_type() {
  static const GEnumValue kValues[] = {
      {static_cast<int>(rgbd::Colormap::kSpectral), "Red near, blue far, as matplotlib's Spectral",
       "spectral"},
      {static_cast<int>(rgbd::Colormap::kTurbo), "Blue near, red far, the rainbow Turbo", "turbo"},
      {static_cast<int>(rgbd::Colormap::kGray), "Black near, white far", "gray"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstDepthColorizeColormap", kValues);
  return type;
}

/// The colours of every depth value, in the byte order of `info`'s format.
static void build_table(Pixel* table, const Settings& settings, double unit_m, const GstVideoInfo* info) {
  const GstVideoFormatInfo* format = info->finfo;
  const bool has_alpha = GST_VIDEO_FORMAT_INFO_HAS_ALPHA(format);
  const int red = GST_VIDEO_FORMAT_INFO_POFFSET(format, 0), green = GST_VIDEO_FORMAT_INFO_POFFSET(format, 1);
  const int blue = GST_VIDEO_FORMAT_INFO_POFFSET(format, 2);
  auto pack = [&](rgbd::Rgb color, guint8 alpha) {
    Pixel pixel = {{255, 255, 255, 255}};
    pixel.bytes[red] = color.red;
    pixel.bytes[green] = color.green;
    pixel.bytes[blue] = color.blue;
    if (has_alpha) pixel.bytes[GST_VIDEO_FORMAT_INFO_POFFSET(format, 3)] = alpha;
    return pixel;
  };
  const guint invalid = settings.invalid_color;
  table[0] = pack({guint8(invalid >> 16), guint8(invalid >> 8), guint8(invalid)}, guint8(invalid >> 24));
  for (int step = 1; step < kSteps; ++step)
    table[step] = pack(
        rgbd::colorize(settings.colormap, step * unit_m, settings.min_depth_m, settings.max_depth_m), 255);
}

/// Takes over new settings, if there are any, before a frame.
static const Pixel* current_table(GstDepthColorize* self, const GstVideoInfo* info) {
  GST_OBJECT_LOCK(self);
  const bool stale = self->table_is_stale;
  const Settings settings = self->settings;
  self->table_is_stale = false;
  GST_OBJECT_UNLOCK(self);
  if (!self->table) self->table = std::make_unique<Pixel[]>(kSteps);
  if (stale) build_table(self->table.get(), settings, self->depth_unit_m, info);
  return self->table.get();
}

template <int kPixelStride, bool kBigEndian>
static void color_rows(const GstVideoFrame* in, GstVideoFrame* out, const Pixel* table) {
  const int width = GST_VIDEO_FRAME_WIDTH(in), height = GST_VIDEO_FRAME_HEIGHT(in);
  for (int y = 0; y < height; ++y) {
    auto* depth = static_cast<const guint8*>(GST_VIDEO_FRAME_PLANE_DATA(in, 0)) +
                  static_cast<gssize>(y) * GST_VIDEO_FRAME_PLANE_STRIDE(in, 0);
    auto* color = static_cast<guint8*>(GST_VIDEO_FRAME_PLANE_DATA(out, 0)) +
                  static_cast<gssize>(y) * GST_VIDEO_FRAME_PLANE_STRIDE(out, 0);
    for (int x = 0; x < width; ++x, depth += 2, color += kPixelStride) {
      const Pixel& pixel = table[kBigEndian ? depth[0] << 8 | depth[1] : depth[1] << 8 | depth[0]];
      for (int i = 0; i < kPixelStride; ++i) color[i] = pixel.bytes[i];
    }
  }
}

static GstFlowReturn gst_depth_colorize_transform_frame(GstVideoFilter* filter, GstVideoFrame* in,
                                                        GstVideoFrame* out) {
  const Pixel* table = current_table(cast(filter), &out->info);
  const bool big_endian = GST_VIDEO_FRAME_FORMAT(in) == GST_VIDEO_FORMAT_GRAY16_BE;
  if (GST_VIDEO_FRAME_COMP_PSTRIDE(out, 0) == 3)
    (big_endian ? color_rows<3, true> : color_rows<3, false>)(in, out, table);
  else
    (big_endian ? color_rows<4, true> : color_rows<4, false>)(in, out, table);
  return GST_FLOW_OK;
}

static gboolean gst_depth_colorize_set_info(GstVideoFilter* filter, GstCaps* in_caps, GstVideoInfo*, GstCaps*,
                                            GstVideoInfo*) {
  GstDepthColorize* self = cast(filter);
  const bool has_unit = gst_structure_has_field(gst_caps_get_structure(in_caps, 0), RGBD_CAPS_DEPTH_UNIT);
  const auto unit = rgbd::depth_unit_of(in_caps);
  if (has_unit && !unit) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("The caps field depth-unit has to be a positive number of metres."),
                      ("caps %" GST_PTR_FORMAT, in_caps));
    return FALSE;
  }
  self->depth_unit_m = unit.value_or(RGBD_DEFAULT_DEPTH_UNIT);
  GST_OBJECT_LOCK(self);
  self->table_is_stale = true;
  GST_OBJECT_UNLOCK(self);
  return TRUE;
}

/// Size, framerate and the rest pass both ways; the format changes sides, depth-unit and colorimetry stay
/// behind.
static GstCaps* gst_depth_colorize_transform_caps(GstBaseTransform*, GstPadDirection direction, GstCaps* caps,
                                                  GstCaps* filter) {
  GstCaps* other = gst_caps_copy(caps);
  GValue formats = G_VALUE_INIT;
  g_value_init(&formats, GST_TYPE_LIST);
  gst_value_deserialize(&formats, direction == GST_PAD_SINK ? kColorFormats : kDepthFormats);
  for (guint i = 0; i < gst_caps_get_size(other); ++i) {
    GstStructure* structure = gst_caps_get_structure(other, i);
    gst_structure_set_value(structure, "format", &formats);
    gst_structure_remove_fields(structure, RGBD_CAPS_DEPTH_UNIT, "colorimetry", "chroma-site", nullptr);
  }
  g_value_unset(&formats);
  if (filter) {
    GstCaps* both = gst_caps_intersect_full(filter, other, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref(other);
    other = both;
  }
  return other;
}

static void gst_depth_colorize_set_property(GObject* object, guint id, const GValue* value,
                                            GParamSpec* spec) {
  GstDepthColorize* self = cast(object);
  GST_OBJECT_LOCK(self);
  self->table_is_stale = true;
  switch (id) {
    case kPropMinDepth:
      self->settings.min_depth_m = g_value_get_double(value);
      break;
    case kPropMaxDepth:
      self->settings.max_depth_m = g_value_get_double(value);
      break;
    case kPropColormap:
      self->settings.colormap = static_cast<rgbd::Colormap>(g_value_get_enum(value));
      break;
    case kPropInvalidColor:
      self->settings.invalid_color = g_value_get_uint(value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void gst_depth_colorize_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  GstDepthColorize* self = cast(object);
  GST_OBJECT_LOCK(self);
  switch (id) {
    case kPropMinDepth:
      g_value_set_double(value, self->settings.min_depth_m);
      break;
    case kPropMaxDepth:
      g_value_set_double(value, self->settings.max_depth_m);
      break;
    case kPropColormap:
      g_value_set_enum(value, static_cast<int>(self->settings.colormap));
      break;
    case kPropInvalidColor:
      g_value_set_uint(value, self->settings.invalid_color);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
  GST_OBJECT_UNLOCK(self);
}

static void gst_depth_colorize_finalize(GObject* object) {
  using Table = std::unique_ptr<Pixel[]>;
  cast(object)->table.~Table();
  G_OBJECT_CLASS(gst_depth_colorize_parent_class)->finalize(object);
}

static void gst_depth_colorize_init(GstDepthColorize* self) {
  self->settings = Settings{};
  self->table_is_stale = true;
  self->depth_unit_m = RGBD_DEFAULT_DEPTH_UNIT;
  new (&self->table) std::unique_ptr<Pixel[]>();
}

static void install_properties(GObjectClass* object_class) {
  constexpr auto kFlags =
      static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
  g_object_class_install_property(
      object_class, kPropMinDepth,
      g_param_spec_double("min-depth", "Minimum depth",
                          "Depth in metres that takes the map's first colour, and all nearer", 0, 1000,
                          kDefaultMinDepth, kFlags));
  g_object_class_install_property(
      object_class, kPropMaxDepth,
      g_param_spec_double("max-depth", "Maximum depth",
                          "Depth in metres that takes the map's last colour, and all farther", 0, 1000,
                          kDefaultMaxDepth, kFlags));
  g_object_class_install_property(
      object_class, kPropColormap,
      g_param_spec_enum("colormap", "Colour map", "The colours, from near to far", colormap_type(),
                        static_cast<int>(rgbd::Colormap::kSpectral), kFlags));
  g_object_class_install_property(
      object_class, kPropInvalidColor,
      g_param_spec_uint("invalid-color", "Invalid colour", "Colour of pixels without depth, as 0xAARRGGBB", 0,
                        G_MAXUINT32, kDefaultInvalidColor, kFlags));
}

static void gst_depth_colorize_class_init(GstDepthColorizeClass* klass) {
  GST_DEBUG_CATEGORY_INIT(depth_colorize_debug, "depthcolorize", 0, "colours depth frames");
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_depth_colorize_set_property;
  object_class->get_property = gst_depth_colorize_get_property;
  object_class->finalize = gst_depth_colorize_finalize;
  install_properties(object_class);
  gst_type_mark_as_plugin_api(colormap_type(), static_cast<GstPluginAPIFlags>(0));

  auto* element_class = GST_ELEMENT_CLASS(klass);
  gst_element_class_set_static_metadata(element_class, "Depth colouriser", "Filter/Converter/Video",
                                        "Colours GRAY16 depth frames", "rgbdrefine");
  auto add_template = [&](const char* name, GstPadDirection direction, const char* formats) {
    gchar* text = g_strdup_printf(GST_VIDEO_CAPS_MAKE("%s"), formats);
    GstCaps* caps = gst_caps_from_string(text);
    gst_element_class_add_pad_template(element_class,
                                       gst_pad_template_new(name, direction, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
    g_free(text);
  };
  add_template("sink", GST_PAD_SINK, kDepthFormats);
  add_template("src", GST_PAD_SRC, kColorFormats);

  GST_BASE_TRANSFORM_CLASS(klass)->transform_caps = gst_depth_colorize_transform_caps;
  GST_VIDEO_FILTER_CLASS(klass)->set_info = gst_depth_colorize_set_info;
  GST_VIDEO_FILTER_CLASS(klass)->transform_frame = gst_depth_colorize_transform_frame;
}

gboolean gst_depth_colorize_register(GstPlugin* plugin) {
  return gst_element_register(plugin, "depthcolorize", GST_RANK_NONE, gst_depth_colorize_get_type());
}
