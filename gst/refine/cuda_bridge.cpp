// SPDX-License-Identifier: Apache-2.0
// GStreamer's CUDA memory and context, see cuda_bridge.h. libcuda is opened at run time, by GStreamer's
// loader: the plugin goes on without it.
#define GST_USE_UNSTABLE_API  // GStreamer's CUDA library
#include "gst/refine/cuda_bridge.h"

#include <cuda.h>
#include <dlfcn.h>
#include <gst/cuda/cuda-gst.h>
#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudacontext.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudamemory.h>
#if GST_CHECK_VERSION(1, 24, 0)
#include <gst/cuda/gstcudastream.h>
#endif

#include <memory>
#include <string>
#include <utility>

#include "gst/refine/bridge.h"
#include "gst/refine/debug.h"

#define GST_CAT_DEFAULT rgbd_refine_caps_debug

namespace rgbd::refine {
namespace {

struct ObjectUnref {
  void operator()(gpointer object) const { gst_object_unref(object); }
};
using CudaContextPtr = std::unique_ptr<GstCudaContext, ObjectUnref>;
using PoolPtr = std::unique_ptr<GstBufferPool, ObjectUnref>;

/// What GStreamer's loader does not have.
struct Driver {
  decltype(&cuDevicePrimaryCtxRetain) retain = nullptr;
  decltype(&cuDevicePrimaryCtxRelease) release = nullptr;
};

/// Null: there is no driver, or no GPU.
const Driver* driver() {
  static const Driver loaded = [] {
    Driver found;
    if (!gst_cuda_load_library() || CuInit(0) != CUDA_SUCCESS) return found;
    gst_cuda_memory_init_once();
    void* library = dlopen("libcuda.so.1", RTLD_LAZY);  // open already; stays so
    if (!library) return found;
    found.retain = reinterpret_cast<decltype(found.retain)>(dlsym(library, "cuDevicePrimaryCtxRetain"));
    found.release = reinterpret_cast<decltype(found.release)>(dlsym(library, "cuDevicePrimaryCtxRelease_v2"));
    return found;
  }();
  return loaded.retain && loaded.release ? &loaded : nullptr;
}

int device_of(GstCudaContext* context) {
  guint device = 0;
  g_object_get(context, "cuda-device-id", &device, nullptr);
  return static_cast<int>(device);
}

/// What somebody has set on the element. Transfer full.
CudaContextPtr given_context(GstElement* element) {
  GstCudaContext* cuda = nullptr;
  if (GstContext* given = gst_element_get_context(element, GST_CUDA_CONTEXT_TYPE)) {
    gst_structure_get(gst_context_get_structure(given), GST_CUDA_CONTEXT_TYPE, GST_TYPE_CUDA_CONTEXT, &cuda,
                      nullptr);
    gst_context_unref(given);
  }
  return CudaContextPtr(cuda);
}

void release_primary(gpointer device_and_1) {
  driver()->release(GPOINTER_TO_INT(device_and_1) - 1);
}

/// The primary context, wrapped: `given` if it wraps the same, else a new one. Null: the device has none.
CudaContextPtr primary_context(GstElement* element, int device, CudaContextPtr given) {
  CUdevice handle = 0;
  CUcontext primary = nullptr;
  if (CuDeviceGet(&handle, device) != CUDA_SUCCESS || driver()->retain(&primary, handle) != CUDA_SUCCESS) {
    GST_INFO_OBJECT(element, "CUDA device %d gives no context", device);
    return nullptr;
  }
  if (given && gst_cuda_context_get_handle(given.get()) == primary) {
    driver()->release(handle);  // whoever wrapped it keeps it
    return given;
  }
  if (given) {
    GST_INFO_OBJECT(element, "torch does not work in the CUDA context that was set; sharing the primary one");
  }
  CudaContextPtr wrapped(gst_cuda_context_new_wrapped(primary, handle));
  if (!wrapped) {
    driver()->release(handle);
    return nullptr;
  }
  // At the very end of the object, whose memory and pools may outlive the element. Data of 0 would be no
  // data.
  g_object_set_qdata_full(G_OBJECT(wrapped.get()), g_quark_from_static_string("rgbd-primary-context"),
                          GINT_TO_POINTER(handle + 1), release_primary);
  return wrapped;
}

/// Not persistent: elements and bins forget it when they go to NULL. Transfer full.
GstContext* to_share(GstCudaContext* cuda) {
  GstContext* context = gst_context_new(GST_CUDA_CONTEXT_TYPE, FALSE);
  gst_structure_set(gst_context_writable_structure(context), GST_CUDA_CONTEXT_TYPE, GST_TYPE_CUDA_CONTEXT,
                    cuda, "cuda-device-id", G_TYPE_UINT, static_cast<guint>(device_of(cuda)), nullptr);
  return context;
}

/// Frames come with a GstVideoMeta, which says how they lie; one without lies as its memory was allocated,
/// and the caps know nothing of the pitch.
GstVideoInfo layout_of(GstBuffer* buffer, const GstCudaMemory* memory, const GstVideoInfo& info) {
  GstVideoInfo layout = info;
  if (gst_buffer_get_video_meta(buffer)) return layout;
  const GstVideoInfo& allocated = memory->info;
  if (GST_VIDEO_INFO_FORMAT(&allocated) != GST_VIDEO_INFO_FORMAT(&info) ||
      GST_VIDEO_INFO_WIDTH(&allocated) != GST_VIDEO_INFO_WIDTH(&info) ||
      GST_VIDEO_INFO_HEIGHT(&allocated) != GST_VIDEO_INFO_HEIGHT(&info))
    throw BadFrame("an rgb buffer's CUDA memory was made for another size or format than its caps");
  for (guint plane = 0; plane < GST_VIDEO_INFO_N_PLANES(&info); ++plane) {
    layout.stride[plane] = allocated.stride[plane];
    layout.offset[plane] = allocated.offset[plane];
  }
  layout.size = allocated.size;
  return layout;
}

/// The stream after which the pixels are there; null: they are there. `shared`: the memory is of the context
/// that the engine works in, so it can wait on the GPU for the stream; else, and before GStreamer 1.24, which
/// has no streams, this waits.
void* ready_after(GstCudaMemory* memory, bool shared) {
#if GST_CHECK_VERSION(1, 24, 0)
  // Compiled against the headers of 1.24 to 1.28, never run: no such GStreamer and a GPU were at hand
  // together.
  if (shared) {
    GstCudaStream* stream = gst_cuda_memory_get_stream(memory);
    return stream ? gst_cuda_stream_get_handle(stream) : nullptr;
  }
  gst_cuda_memory_sync(memory);
  return nullptr;
#else
  // Elements of 1.22 wait for their streams before they push. This is for others, which may leave work in
  // the default stream; nothing is in it otherwise, and then this returns at once.
  if (!gst_cuda_context_push(memory->context))
    throw Error(ErrorCode::kDevice, "the CUDA context of a colour frame cannot be used any more");
  CUresult result = CuStreamSynchronize(nullptr);
  gst_cuda_context_pop(nullptr);
  if (result == CUDA_SUCCESS) return nullptr;
  const char* name = nullptr;
  CuGetErrorName(result, &name);
  throw Error(ErrorCode::kDevice, std::string("waiting for a colour frame in CUDA memory failed: ") +
                                      (name ? name : std::to_string(result)));
#endif
}

}  // namespace

GstCaps* cuda_caps() {
  // All but xRGB and xBGR, which GStreamer's allocator does not know. For such a format, as for GRAY16, that
  // of 1.22 ends the process.
  return gst_caps_from_string(GST_VIDEO_CAPS_MAKE_WITH_FEATURES(
      GST_CAPS_FEATURE_MEMORY_CUDA_MEMORY,
      "{ RGB, BGR, RGBx, BGRx, RGBA, BGRA, ARGB, ABGR, NV12, I420, YUY2 }"));
}

void CudaContext::publish(GstElement* element, int device) {
  if (!driver()) return;
  {
    std::lock_guard lock(mutex_);
    if (context_ && device_ == device) return;
  }
  CudaContextPtr given = given_context(element);
  if (!given) {
    // No lock is held: whoever answers sets the context on this element.
    gst_element_post_message(element,
                             gst_message_new_need_context(GST_OBJECT(element), GST_CUDA_CONTEXT_TYPE));
    given = given_context(element);
  }
  const GstCudaContext* told = given.get();
  CudaContextPtr made = primary_context(element, device, std::move(given));
  if (!made) return;
  bool known = made.get() == told;
  GstContext* context = to_share(made.get());
  {
    std::lock_guard lock(mutex_);
    if (context_ && device_ == device) {  // another thread was faster
      gst_context_unref(context);
      return;
    }
    CudaContextPtr old(std::exchange(context_, made.release()));
    device_ = device;
  }
  GST_INFO_OBJECT(element, "%s the primary context of CUDA device %d", known ? "taking" : "sharing", device);
  if (!known) {
    gst_element_set_context(element, context);
    gst_element_post_message(element,
                             gst_message_new_have_context(GST_OBJECT(element), gst_context_ref(context)));
  }
  gst_context_unref(context);
}

GstCudaContext* CudaContext::context() {
  std::lock_guard lock(mutex_);
  return context_ ? static_cast<GstCudaContext*>(gst_object_ref(context_)) : nullptr;
}

bool CudaContext::answer(GstElement* element, GstQuery* query, int device) {
  const gchar* type = nullptr;
  if (!gst_query_parse_context_type(query, &type) || g_strcmp0(type, GST_CUDA_CONTEXT_TYPE) != 0)
    return false;
  publish(element, device);
  CudaContextPtr cuda(context());
  if (!cuda) return false;
  GstContext* answer = to_share(cuda.get());
  gst_query_set_context(query, answer);
  gst_context_unref(answer);
  return true;
}

void CudaContext::propose_pool(GstQuery* query) {
  GstCaps* caps = nullptr;
  gboolean wanted = FALSE;
  gst_query_parse_allocation(query, &caps, &wanted);
  CudaContextPtr cuda(context());
  if (!wanted || !caps || !cuda) return;
  GstCaps* known = cuda_caps();
  bool can_be_made = gst_caps_is_fixed(caps) && gst_caps_is_subset(caps, known);
  gst_caps_unref(known);
  GstVideoInfo info;
  if (!can_be_made || !gst_video_info_from_caps(&info, caps)) return;

  PoolPtr pool(gst_cuda_buffer_pool_new(cuda.get()));
  GstStructure* config = gst_buffer_pool_get_config(pool.get());
  gst_buffer_pool_config_set_params(config, caps, static_cast<guint>(GST_VIDEO_INFO_SIZE(&info)), 0, 0);
  gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  if (!gst_buffer_pool_set_config(pool.get(), config)) return;
  guint size = 0;  // with the pitch, which the pool has found out
  config = gst_buffer_pool_get_config(pool.get());
  gst_buffer_pool_config_get_params(config, nullptr, &size, nullptr, nullptr);
  gst_structure_free(config);
  gst_query_add_allocation_pool(query, pool.get(), size, 0, 0);
}

ColorFrame CudaContext::read(GstElement* element, GstBuffer* buffer, const GstVideoInfo& info, int device) {
  GstMemory* first = gst_buffer_n_memory(buffer) == 1 ? gst_buffer_peek_memory(buffer, 0) : nullptr;
  if (!gst_is_cuda_memory(first))
    throw BadFrame("an rgb buffer is not one CUDA memory, which its caps promise");
  GstCudaMemory* memory = GST_CUDA_MEMORY_CAST(first);
  GstVideoInfo layout = layout_of(buffer, memory, info);
  CudaContextPtr ours(context());
  bool shared =
      ours && gst_cuda_context_get_handle(ours.get()) == gst_cuda_context_get_handle(memory->context);
  bool same_device = shared || device_of(memory->context) == device;
  if (!shared) say_once(element, memory->context, same_device);
  if (!same_device) {
    // Mapped for the host, GStreamer's memory copies itself there.
    auto frame = std::make_shared<MappedFrame>(buffer, layout, GST_MAP_READ, "rgb");
    return {image_view(frame), gst_buffer_get_size(buffer)};
  }
  auto frame = std::make_shared<MappedFrame>(buffer, layout, GST_MAP_READ | GST_MAP_CUDA, "rgb");
  ColorFrame result{image_view(frame)};
  result.view.memory = Memory::kCuda;
  result.view.cuda_stream = ready_after(memory, shared);
  return result;
}

void CudaContext::say_once(GstElement* element, GstCudaContext* other, bool same_device) {
  if (std::exchange(said_, other) == other) return;
  GST_INFO_OBJECT(element, "colour frames lie in another CUDA context, on %s",
                  same_device ? "the same device: they are read there" : "another device: they are copied");
}

void CudaContext::close() {
  std::lock_guard lock(mutex_);
  if (context_) gst_object_unref(std::exchange(context_, nullptr));
  device_ = -1;
}

}  // namespace rgbd::refine
