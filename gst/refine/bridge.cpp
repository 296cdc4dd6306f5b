// SPDX-License-Identifier: Apache-2.0
// Mapping, checking and copying of buffers in system memory, see bridge.h.
#include "gst/refine/bridge.h"

#include <string>

#include "gst/refine/buffer_ptr.h"

namespace rgbd::refine {
namespace {

/// The component whose rows are the plane's. YUY2 lists its subsampled chroma too; its luma, component 0, is
/// the widest.
guint component_of(const GstVideoInfo& info, guint plane) {
  gint components[GST_VIDEO_MAX_COMPONENTS];
  gst_video_format_info_component(info.finfo, plane, components);
  return static_cast<guint>(components[0]);
}

/// Of one row, those that hold pixels.
gint64 row_bytes(const GstVideoInfo& info, guint plane) {
  guint component = component_of(info, plane);
  gint64 bytes =
      gint64{GST_VIDEO_INFO_COMP_WIDTH(&info, component)} * GST_VIDEO_INFO_COMP_PSTRIDE(&info, component);
  return GST_VIDEO_INFO_FORMAT(&info) == GST_VIDEO_FORMAT_YUY2 ? (bytes + 3) / 4 * 4 : bytes;
}

/// Before gst_video_frame_map(), which takes a GstVideoMeta that contradicts the caps for a bug of its
/// caller.
void check_meta(GstBuffer* buffer, const GstVideoInfo& info, const char* name) {
  const GstVideoMeta* meta = gst_buffer_get_video_meta(buffer);
  if (!meta) return;
  if (meta->format != GST_VIDEO_INFO_FORMAT(&info) ||
      meta->width != static_cast<guint>(GST_VIDEO_INFO_WIDTH(&info)) ||
      meta->height != static_cast<guint>(GST_VIDEO_INFO_HEIGHT(&info)) ||
      meta->n_planes != GST_VIDEO_INFO_N_PLANES(&info)) {
    throw BadFrame(std::string("a ") + name +
                   " buffer's GstVideoMeta is for another size or format than its caps");
  }
  for (guint plane = 0; plane < GST_VIDEO_INFO_N_PLANES(&info); ++plane) {
    if (meta->stride[plane] >= row_bytes(info, plane)) continue;
    throw BadFrame(std::string("a ") + name + " buffer has a stride of " +
                   std::to_string(meta->stride[plane]) + " bytes where its width needs " +
                   std::to_string(row_bytes(info, plane)));
  }
}

/// Whether the rows of a plane lie in more than one memory: where there is a GstVideoMeta,
/// gst_video_frame_map() maps the first of them alone.
bool is_split(GstBuffer* buffer, const GstVideoInfo& info) {
  const GstVideoMeta* meta = gst_buffer_get_video_meta(buffer);
  if (!meta || gst_buffer_n_memory(buffer) < 2) return false;
  for (guint plane = 0; plane < GST_VIDEO_INFO_N_PLANES(&info); ++plane) {
    gint64 rows = GST_VIDEO_INFO_COMP_HEIGHT(&info, component_of(info, plane));
    gint64 bytes = meta->stride[plane] * (rows - 1) + row_bytes(info, plane);
    guint first, memories;
    gsize skip;
    if (gst_buffer_find_memory(buffer, meta->offset[plane], static_cast<gsize>(bytes), &first, &memories,
                               &skip) &&
        memories > 1)
      return true;
  }
  return false;
}

/// The same buffer in one memory; null when a memory cannot be mapped. Transfer full.
GstBuffer* merged(GstBuffer* buffer) {
  return gst_buffer_copy_region(
      buffer,
      static_cast<GstBufferCopyFlags>(GST_BUFFER_COPY_METADATA | GST_BUFFER_COPY_MEMORY |
                                      GST_BUFFER_COPY_MERGE),
      0, static_cast<gsize>(-1));
}

/// gst_video_frame_map() believes a GstVideoMeta: check that each plane's rows lie inside its memory.
void check_planes(const GstVideoFrame& frame, const char* name) {
  for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&frame); ++plane) {
    gint64 rows = GST_VIDEO_FRAME_COMP_HEIGHT(&frame, component_of(frame.info, plane));
    const GstMapInfo& map = frame.map[plane].data ? frame.map[plane] : frame.map[0];
    gint64 there = static_cast<gint64>(map.size) -
                   (static_cast<const guint8*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, plane)) - map.data);
    gint64 needed =
        gint64{GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane)} * (rows - 1) + row_bytes(frame.info, plane);
    if (there < needed) {
      throw BadFrame(std::string("a ") + name + " buffer has " + std::to_string(there) +
                     " bytes where its caps need " + std::to_string(needed));
    }
  }
}

ColorMatrix color_matrix(const GstVideoInfo& info) {
  switch (info.colorimetry.matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT709:
      return ColorMatrix::kBt709;
    case GST_VIDEO_COLOR_MATRIX_BT2020:
      return ColorMatrix::kBt2020;
    default:
      return ColorMatrix::kBt601;
  }
}

struct MetaCopy {
  GstBuffer* to;
  const GstVideoInfo* from_info;
  const GstVideoInfo* to_info;
};

gboolean copy_meta(GstBuffer* from, GstMeta** meta, gpointer data) {
  auto* copy = static_cast<MetaCopy*>(data);
  const GstMetaInfo* info = (*meta)->info;
  // The layout of the colour planes, and whatever describes the colour memory.
  if (info->api == GST_VIDEO_META_API_TYPE || !info->transform_func ||
      gst_meta_api_type_has_tag(info->api, _gst_meta_tag_memory) ||
      gst_meta_api_type_has_tag(info->api, _gst_meta_tag_memory_reference)) {
    return TRUE;
  }
  bool same_size = GST_VIDEO_INFO_WIDTH(copy->from_info) == GST_VIDEO_INFO_WIDTH(copy->to_info) &&
                   GST_VIDEO_INFO_HEIGHT(copy->from_info) == GST_VIDEO_INFO_HEIGHT(copy->to_info);
  if (!same_size &&
      gst_meta_api_type_has_tag(info->api, g_quark_from_static_string(GST_META_TAG_VIDEO_SIZE_STR))) {
    GstVideoMetaTransform scale{const_cast<GstVideoInfo*>(copy->from_info),
                                const_cast<GstVideoInfo*>(copy->to_info)};
    info->transform_func(copy->to, *meta, from, gst_video_meta_transform_scale_get_quark(), &scale);
  } else {
    GstMetaTransformCopy whole{FALSE, 0, static_cast<gsize>(-1)};
    info->transform_func(copy->to, *meta, from, _gst_meta_transform_copy, &whole);
  }
  return TRUE;
}

}  // namespace

MappedFrame::MappedFrame(GstBuffer* buffer, const GstVideoInfo& info, int flags, const char* name) {
  check_meta(buffer, info, name);
  BufferPtr whole;
  if (flags == GST_MAP_READ && is_split(buffer, info)) {
    whole.reset(merged(buffer));
    if (!whole) throw BadFrame(std::string("a ") + name + " buffer of several memories cannot be read");
    buffer = whole.get();
  }
  if (!gst_video_frame_map(&frame_, &info, buffer, static_cast<GstMapFlags>(flags))) {
    throw BadFrame(std::string("a ") + name + " buffer of " + std::to_string(gst_buffer_get_size(buffer)) +
                   " bytes cannot be mapped as " + std::to_string(GST_VIDEO_INFO_WIDTH(&info)) + "x" +
                   std::to_string(GST_VIDEO_INFO_HEIGHT(&info)) + " " +
                   gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(&info)) + ", which needs " +
                   std::to_string(GST_VIDEO_INFO_SIZE(&info)));
  }
  mapped_ = true;
  try {
    check_planes(frame_, name);
  } catch (...) {
    unmap();
    throw;
  }
}

void MappedFrame::unmap() {
  if (mapped_) gst_video_frame_unmap(&frame_);
  mapped_ = false;
}

PixelFormat pixel_format(GstVideoFormat format) {
  switch (format) {
    case GST_VIDEO_FORMAT_RGB:
      return PixelFormat::kRgb;
    case GST_VIDEO_FORMAT_BGR:
      return PixelFormat::kBgr;
    case GST_VIDEO_FORMAT_RGBx:
      return PixelFormat::kRgbx;
    case GST_VIDEO_FORMAT_BGRx:
      return PixelFormat::kBgrx;
    case GST_VIDEO_FORMAT_xRGB:
      return PixelFormat::kXrgb;
    case GST_VIDEO_FORMAT_xBGR:
      return PixelFormat::kXbgr;
    case GST_VIDEO_FORMAT_RGBA:
      return PixelFormat::kRgba;
    case GST_VIDEO_FORMAT_BGRA:
      return PixelFormat::kBgra;
    case GST_VIDEO_FORMAT_ARGB:
      return PixelFormat::kArgb;
    case GST_VIDEO_FORMAT_ABGR:
      return PixelFormat::kAbgr;
    case GST_VIDEO_FORMAT_NV12:
      return PixelFormat::kNv12;
    case GST_VIDEO_FORMAT_I420:
      return PixelFormat::kI420;
    case GST_VIDEO_FORMAT_YUY2:
      return PixelFormat::kYuy2;
    default:
      throw Error(ErrorCode::kUnsupported, std::string("colour frames in ") +
                                               gst_video_format_to_string(format) +
                                               " are not read; put a videoconvert before the rgb pad");
  }
}

ImageView image_view(const std::shared_ptr<MappedFrame>& mapped) {
  const GstVideoFrame& frame = mapped->frame();
  ImageView view;
  view.format = pixel_format(GST_VIDEO_FRAME_FORMAT(&frame));
  view.width = GST_VIDEO_FRAME_WIDTH(&frame);
  view.height = GST_VIDEO_FRAME_HEIGHT(&frame);
  for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&frame); ++plane) {
    view.planes[plane] = {static_cast<const uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, plane)),
                          GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane)};
  }
  view.matrix = color_matrix(frame.info);
  view.full_range = frame.info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  view.owner = mapped;
  return view;
}

DepthView depth_view(const std::shared_ptr<MappedFrame>& mapped, double metres_per_step, double min_depth_m,
                     double max_depth_m) {
  const GstVideoFrame& frame = mapped->frame();
  DepthView view;
  view.data = static_cast<const uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0));
  view.stride_bytes = GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0);
  view.width = GST_VIDEO_FRAME_WIDTH(&frame);
  view.height = GST_VIDEO_FRAME_HEIGHT(&frame);
  view.big_endian = GST_VIDEO_FRAME_FORMAT(&frame) == GST_VIDEO_FORMAT_GRAY16_BE;
  view.metres_per_step = metres_per_step;
  view.min_depth_m = min_depth_m;
  view.max_depth_m = max_depth_m;
  view.owner = mapped;
  return view;
}

DepthOut depth_out(const std::shared_ptr<MappedFrame>& mapped, double metres_per_step) {
  const GstVideoFrame& frame = mapped->frame();
  DepthOut out;
  out.data = static_cast<uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0));
  out.stride_bytes = GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0);
  out.width = GST_VIDEO_FRAME_WIDTH(&frame);
  out.height = GST_VIDEO_FRAME_HEIGHT(&frame);
  out.big_endian = GST_VIDEO_FRAME_FORMAT(&frame) == GST_VIDEO_FORMAT_GRAY16_BE;
  out.metres_per_step = metres_per_step;
  out.owner = mapped;
  return out;
}

void copy_metadata(GstBuffer* from, const GstVideoInfo& from_info, GstBuffer* to,
                   const GstVideoInfo& to_info) {
  gst_buffer_copy_into(to, from,
                       static_cast<GstBufferCopyFlags>(GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS), 0,
                       static_cast<gsize>(-1));
  MetaCopy copy{to, &from_info, &to_info};
  gst_buffer_foreach_meta(from, copy_meta, &copy);
}

}  // namespace rgbd::refine
