// SPDX-License-Identifier: Apache-2.0
// rgbdrefine under two streams of any caps and any buffers: sizes, strides, metas, memories, times, gaps. The
// input is read as properties and then steps, each for one of the pads. The stand-in for librgbd reads every
// pixel of what it is given. Whatever comes: the stream ends or an error says why, no colour frame goes
// uncounted, what goes out fits its caps, and GLib has nothing to criticise.
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#ifdef RGBD_STATIC_ELEMENT  // fuzzers have the element's code inside, with coverage counters
#include "gst/plugin.h"
#endif

namespace {

[[noreturn]] void finding(const char* text) {
  std::fprintf(stderr, "finding: %s\n", text);
  std::abort();
}

volatile guint8 seen;  // written, so that reads stay

/// Takes an input apart; zeros when it is used up.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : next_(data), end_(data + size) {}
  bool more() const { return next_ < end_; }
  unsigned byte() { return more() ? *next_++ : 0; }
  unsigned word() { return byte() | byte() << 8; }
  bool once_in(unsigned times) { return byte() % times == 1; }
  template <size_t N>
  const char* one_of(const char* const (&list)[N]) {
    return list[byte() % N];
  }
  std::string text() {
    const size_t size = std::min<size_t>(byte() % 64, static_cast<size_t>(end_ - next_));
    std::string out(reinterpret_cast<const char*>(next_), size);
    next_ += size;
    std::replace(out.begin(), out.end(), '\0', ' ');
    return out;
  }

 private:
  const uint8_t* next_;
  const uint8_t* end_;
};

constexpr const char* kSides[] = {"16", "16", "17",   "14",    "32",    "13",        "1",
                                  "0",  "-1", "5000", "16384", "65536", "2147483647"};
constexpr const char* kRates[] = {",framerate=30/1",
                                  ",framerate=15/1",
                                  "",
                                  ",framerate=0/1",
                                  ",framerate=1/2147483647",
                                  ",framerate=2147483647/1",
                                  ",framerate=[0/1,2147483647/1]"};
constexpr const char* kColours[] = {"RGB",  "BGR",  "RGBx", "BGRx", "xRGB", "xBGR",      "RGBA", "BGRA",
                                    "ARGB", "ABGR", "NV12", "I420", "YUY2", "GRAY16_LE", "NV21"};
constexpr const char* kDepths[] = {"GRAY16_LE", "GRAY16_BE", "GRAY16_LE", "GRAY8", "RGB"};
constexpr const char* kMore[] = {"",
                                 ",depth-unit=(double)0.0005",
                                 ",depth-unit=(double)0",
                                 ",depth-unit=(double)-1",
                                 ",depth-unit=(double)1e300",
                                 ",depth-unit=(double)1e-300",
                                 ",depth-unit=(string)mm",
                                 ",depth-unit=(fraction)1/1000",
                                 ",pixel-aspect-ratio=1/2147483647",
                                 ",pixel-aspect-ratio=2147483647/1",
                                 ",interlace-mode=(string)interleaved",
                                 ",interlace-mode=(string)alternate",
                                 ",colorimetry=(string)bt2020",
                                 ",colorimetry=(string)1:3:5:1",
                                 ",chroma-site=(string)none",
                                 ",multiview-mode=(string)side-by-side",
                                 ",views=(int)3",
                                 ",max-framerate=30/1"};
constexpr const char* kDownstream[] = {"video/x-raw",
                                       "video/x-raw,format=GRAY16_BE",
                                       "video/x-raw,width=40",
                                       "video/x-raw,width=[1,8],height=[1,8]",
                                       "video/x-raw,height=33",
                                       "video/x-raw,framerate=15/1",
                                       "video/x-raw,depth-unit=(double)0.0001",
                                       "video/x-raw,pixel-aspect-ratio=1/1",
                                       "video/x-raw,width=16,pixel-aspect-ratio=[1/2147483647,2147483647/1]"};

/// One sink pad's stream as it is made up.
struct Stream {
  GstElement* source;
  bool colour;
  GstVideoInfo info;
  bool has_info = false;
  int frames = 0;
};

void change_caps(Stream& stream, Bytes& bytes) {
  std::string text = "video/x-raw";
  if (bytes.once_in(16)) {
    text += bytes.text();
  } else {
    text += std::string(",format=") + (stream.colour ? bytes.one_of(kColours) : bytes.one_of(kDepths));
    const std::string width = bytes.one_of(kSides), height = bytes.one_of(kSides);
    // Of two long sides nothing is learnt but how long 300 million pixels take.
    const bool huge =
        std::min(width.size(), height.size()) >= 4 && std::max(width.size(), height.size()) <= 5;
    text += ",width=" + width + ",height=" + (huge ? "16" : height);
    text += bytes.one_of(kRates);
    text += bytes.one_of(kMore);
  }
  GstCaps* caps = gst_caps_from_string(text.c_str());
  if (!caps) return;
  if (!gst_caps_is_any(caps) && !gst_caps_is_empty(caps)) {
    caps = gst_caps_fixate(caps);
    stream.has_info = gst_structure_has_name(gst_caps_get_structure(caps, 0), "video/x-raw") &&
                      gst_video_info_from_caps(&stream.info, caps);
    gst_app_src_set_caps(GST_APP_SRC(stream.source), caps);
  }
  gst_caps_unref(caps);
}

/// Any layout: right, nearly right, or nonsense.
void add_layout(GstBuffer* buffer, const GstVideoInfo& info, Bytes& bytes) {
  gsize offsets[GST_VIDEO_MAX_PLANES] = {};
  gint strides[GST_VIDEO_MAX_PLANES] = {};
  for (guint i = 0; i < GST_VIDEO_INFO_N_PLANES(&info); ++i) {
    offsets[i] = GST_VIDEO_INFO_PLANE_OFFSET(&info, i);
    strides[i] = GST_VIDEO_INFO_PLANE_STRIDE(&info, i);
  }
  GstVideoMeta* meta = gst_buffer_add_video_meta_full(
      buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_INFO_FORMAT(&info),
      static_cast<guint>(GST_VIDEO_INFO_WIDTH(&info)), static_cast<guint>(GST_VIDEO_INFO_HEIGHT(&info)),
      GST_VIDEO_INFO_N_PLANES(&info), offsets, strides);
  if (!meta) return;
  const unsigned plane = bytes.byte() % GST_VIDEO_MAX_PLANES;
  constexpr int kStrides[] = {0, 1, -1, 2, 64, 0x7fffffff, -0x7fffffff - 1};
  switch (bytes.byte() % 9) {
    case 0:
      break;
    case 1:
      meta->stride[plane] = kStrides[bytes.byte() % std::size(kStrides)];
      break;
    case 2:
      meta->stride[plane] += static_cast<int>(bytes.byte()) - 128;
      break;
    case 3:
      meta->stride[plane] = -meta->stride[plane];
      break;
    case 4:
      meta->offset[plane] += bytes.word();
      break;
    case 5:
      meta->offset[plane] = ~gsize{0} - bytes.byte();
      break;
    case 6:
      meta->width = bytes.word();
      meta->height = bytes.word();
      break;
    case 7:
      meta->format = static_cast<GstVideoFormat>(bytes.byte() % 64);
      break;
    case 8:
      meta->n_planes = bytes.byte() % 5;
      break;
  }
}

/// `size` bytes in one piece or several, not all of them readable.
GstBuffer* filled(gsize size, Bytes& bytes) {
  GstBuffer* buffer = gst_buffer_new();
  const unsigned pieces = bytes.once_in(4) ? 1 + bytes.byte() % 4 : 1;
  for (unsigned i = 0; i < pieces; ++i) {
    const gsize piece = i + 1 == pieces ? size : size / 2;
    size -= piece;
    auto* memory = static_cast<guint8*>(g_malloc(std::max<gsize>(piece, 1)));
    std::memset(memory, static_cast<int>(bytes.byte()), piece);
    GstMemoryFlags flags{};
    if (bytes.once_in(32)) flags = GST_MEMORY_FLAG_NOT_MAPPABLE;
    if (bytes.once_in(8)) flags = GST_MEMORY_FLAG_READONLY;
    gst_buffer_append_memory(
        buffer, gst_memory_new_wrapped(flags, memory, std::max<gsize>(piece, 1), 0, piece, memory, g_free));
  }
  return buffer;
}

void push_frame(Stream& stream, Bytes& bytes) {
  constexpr gsize kMost = 1 << 20;
  gsize size = stream.has_info ? GST_VIDEO_INFO_SIZE(&stream.info) : 768;
  switch (bytes.byte() % 8) {
    case 0:
      size = bytes.word();
      break;
    case 1:
      size -= std::min<gsize>(size, bytes.byte());
      break;
    case 2:
      size += bytes.byte();
      break;
    case 3:
      size = 0;
      break;
    default:
      break;
  }
  GstBuffer* buffer = filled(std::min(size, kMost), bytes);
  if (stream.has_info && bytes.once_in(4)) add_layout(buffer, stream.info, bytes);

  constexpr GstClockTime kFrame = GST_SECOND / 30;
  GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(stream.frames++) * kFrame;
  GST_BUFFER_DURATION(buffer) = kFrame;
  switch (bytes.byte() % 12) {
    case 0:
      GST_BUFFER_PTS(buffer) = GST_CLOCK_TIME_NONE;
      break;
    case 1:
      GST_BUFFER_PTS(buffer) = bytes.byte() * kFrame / 4;
      break;
    case 2:
      GST_BUFFER_PTS(buffer) = GST_CLOCK_TIME_NONE - 1 - bytes.byte();
      break;
    case 3:
      GST_BUFFER_DURATION(buffer) = GST_CLOCK_TIME_NONE;
      break;
    case 4:
      GST_BUFFER_DURATION(buffer) = bytes.once_in(2) ? 0 : GST_CLOCK_TIME_NONE - 1;
      break;
    default:
      break;
  }
  if (bytes.once_in(16)) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_GAP);
  if (bytes.once_in(16)) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  gst_app_src_push_buffer(GST_APP_SRC(stream.source), buffer);
}

void set_properties(GstElement* refine, Bytes& bytes) {
  constexpr const char* kSkip[] = {"drop", "raw", "repeat"};
  constexpr const char* kUnits[] = {"0", "0", "0.0005", "1000", "1e-300"};
  gst_util_set_object_arg(G_OBJECT(refine), "skip-policy", bytes.one_of(kSkip));
  gst_util_set_object_arg(G_OBJECT(refine), "sync-mode", bytes.once_in(4) ? "order" : "running-time");
  gst_util_set_object_arg(G_OBJECT(refine), "depth-unit", bytes.one_of(kUnits));
  g_object_set(refine, "inference-interval", 1 + bytes.byte() % 3, nullptr);
  if (bytes.once_in(4)) g_object_set(refine, "pts-tolerance", guint64{bytes.word()} * GST_MSECOND, nullptr);
  if (bytes.once_in(4)) g_object_set(refine, "max-depth", 0.5, nullptr);
}

/// Of the property `stats`.
guint64 count(GstElement* refine, std::initializer_list<const char*> names) {
  GstStructure* stats = nullptr;
  g_object_get(refine, "stats", &stats, nullptr);
  guint64 sum = 0;
  for (const char* name : names) {
    guint64 value = 0;
    if (!gst_structure_get_uint64(stats, name, &value)) finding("stats lack a field");
    sum += value;
  }
  gst_structure_free(stats);
  return sum;
}

void check_output(GstSample* sample) {
  GstVideoInfo info;
  GstVideoFrame frame;
  GstBuffer* buffer = gst_sample_get_buffer(sample);
  if (!gst_video_info_from_caps(&info, gst_sample_get_caps(sample))) finding("src caps are no video caps");
  if (!gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ)) finding("an output does not fit its caps");
  for (int y = 0; y < GST_VIDEO_INFO_HEIGHT(&info); ++y) {
    const auto* row = static_cast<const guint8*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0)) +
                      static_cast<ptrdiff_t>(y) * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0);
    for (int x = 0; x < 2 * GST_VIDEO_INFO_WIDTH(&info); ++x) seen = row[x];  // written, to the last pixel
  }
  gst_video_frame_unmap(&frame);
}

}  // namespace

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
/// GLib lets go of its first table of names when it grows; AddressSanitizer itself, of what a thread began
/// with. Recognised only with fast_unwind_on_malloc=0.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:call_init\nleak:pthread_getattr_np\n";
}
#endif
#endif

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  g_setenv("RGBD_LIBRARY", RGBD_STAND_IN, FALSE);
  g_setenv("GST_REGISTRY", RGBD_REGISTRY, FALSE);
  gst_init(nullptr, nullptr);
#ifdef RGBD_STATIC_ELEMENT
  gst_rgbd_refine_register(nullptr);
#endif
  g_log_set_default_handler(
      [](const gchar*, GLogLevelFlags level, const gchar* text, gpointer) {
        // Warnings are what texts from outside may cause; criticals are misuse.
        if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR)) finding(text);
      },
      nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  GstElement* pipeline = gst_pipeline_new(nullptr);
  auto add = [&](const char* factory) {
    GstElement* element = gst_element_factory_make(factory, nullptr);
    if (!element) finding("an element is missing");
    gst_bin_add(GST_BIN(pipeline), element);
    return element;
  };
  GstElement *refine = add("rgbdrefine"), *filter = add("capsfilter"), *sink = add("appsink");
  std::array<Stream, 2> streams{{{add("appsrc"), true, {}}, {add("appsrc"), false, {}}}};
  gst_element_link_pads(streams[0].source, "src", refine, "rgb");
  gst_element_link_pads(streams[1].source, "src", refine, "depth");
  gst_element_link_many(refine, filter, sink, nullptr);
  g_object_set(sink, "sync", FALSE, "wait-on-eos", FALSE, nullptr);
  gst_util_set_object_arg(G_OBJECT(filter), "caps", bytes.one_of(kDownstream));
  set_properties(refine, bytes);
  for (Stream& stream : streams) {
    g_object_set(stream.source, "format", GST_FORMAT_TIME, "max-bytes", guint64{0}, nullptr);
    GstCaps* caps = gst_caps_from_string(
        stream.colour ? "video/x-raw,format=RGB,width=16,height=16,framerate=30/1"
                      : "video/x-raw,format=GRAY16_LE,width=16,height=16,framerate=30/1");
    stream.has_info = gst_video_info_from_caps(&stream.info, caps);
    gst_app_src_set_caps(GST_APP_SRC(stream.source), caps);
    gst_caps_unref(caps);
  }
  constexpr int kMostSteps = 48;
  for (int step = 0; bytes.more() && step < kMostSteps; ++step) {
    const unsigned what = bytes.byte();
    Stream& stream = streams[what & 1];
    if (what >> 1 & 1 && what >> 2 & 1) {
      change_caps(stream, bytes);
    } else if (what >> 3 == 7) {
      gst_element_send_event(stream.source,
                             gst_event_new_gap(bytes.byte() * GST_MSECOND, bytes.byte() * GST_MSECOND));
    } else {
      push_frame(stream, bytes);
    }
  }
  for (Stream& stream : streams) gst_app_src_end_of_stream(GST_APP_SRC(stream.source));

  GstBus* bus = gst_element_get_bus(pipeline);
  if (gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
    finding("the element does not start");
  GstMessage* message =  // for ever: a stream that stands still is a finding of the fuzzer's own limit
      gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE,
                                 static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  const bool ended = GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
  gst_message_unref(message);
  while (GstSample* sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink), 0)) {
    check_output(sample);
    gst_sample_unref(sample);
  }
  if (ended) {
    const guint64 in = count(refine, {"rgb-in"});
    const guint64 out = count(refine, {"pairs-out", "dropped-unpaired-rgb", "dropped-interval",
                                       "dropped-late", "dropped-qos", "dropped-bad", "dropped-flushed"});
    if (in != out) finding("colour frames went uncounted");
  }
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(bus);
  gst_object_unref(pipeline);
  return 0;
}
