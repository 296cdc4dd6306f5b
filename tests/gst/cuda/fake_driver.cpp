// SPDX-License-Identifier: Apache-2.0
// See fake_driver.h. All names that GStreamer 1.22's loader asks for are here; what the tests do not come to
// fails.
#include "tests/gst/cuda/fake_driver.h"

#include <cuda.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

struct CUctx_st {
  int device = 0;
  bool alive = false;
};

namespace {

constexpr int kDevices = 2;
constexpr size_t kPitch = 512;

struct Driver {
  std::mutex mutex;
  CUctx_st primary[kDevices];
  std::deque<CUctx_st> created;  // destroyed ones too, so that a use after the end is seen
  int users[kDevices] = {};
  int contexts = 0, waits = 0, misuses = 0;
  bool failing = false;
  std::map<CUdeviceptr, CUctx_st*> memory;
};

Driver& driver() {
  static Driver* instance = new Driver;
  return *instance;
}

thread_local std::vector<CUctx_st*> current;

/// Under the mutex: the current context; null, and counted, when there is none that lives.
CUctx_st* usable() {
  if (!current.empty() && current.back()->alive) return current.back();
  ++driver().misuses;
  return nullptr;
}

int count(int Driver::*what) {
  std::lock_guard lock(driver().mutex);
  return driver().*what;
}

/// What this process starts is to find the real driver: GStreamer's plugin scanner opens NVIDIA's decoder library
/// where there is one, and that waits for ever on this driver.
__attribute__((constructor)) void hide_from_children() {
  const char* folders = std::getenv("LD_LIBRARY_PATH");
  if (!folders) return;
  std::istringstream all(folders);
  std::string kept;
  for (std::string folder; std::getline(all, folder, ':');)
    if (!fake_driver::lies_in(folder.c_str())) kept += (kept.empty() ? "" : ":") + folder;
  setenv("LD_LIBRARY_PATH", kept.c_str(), 1);
}

}  // namespace

namespace fake_driver {

bool lies_in(const char* folder) {
  Dl_info self;
  std::error_code none;
  return dladdr(reinterpret_cast<void*>(&lies_in), &self) &&
         std::filesystem::equivalent(std::filesystem::path(folder) / "libcuda.so.1", self.dli_fname, none);
}
int primary_users(int device) {
  std::lock_guard lock(driver().mutex);
  return driver().users[device];
}
int private_contexts() {
  return count(&Driver::contexts);
}
int allocations() {
  std::lock_guard lock(driver().mutex);
  return static_cast<int>(driver().memory.size());
}
int waits() {
  return count(&Driver::waits);
}
int misuses() {
  return count(&Driver::misuses);
}
void fail_waits(bool fail) {
  std::lock_guard lock(driver().mutex);
  driver().failing = fail;
}

}  // namespace fake_driver

#define DRIVER_CALL extern "C" FAKE_DRIVER_API CUresult

DRIVER_CALL cuInit(unsigned) {
  return CUDA_SUCCESS;
}
DRIVER_CALL cuDriverGetVersion(int* version) {
  *version = CUDA_VERSION;
  return CUDA_SUCCESS;
}
DRIVER_CALL cuGetErrorName(CUresult error, const char** text) {
  *text = error == CUDA_SUCCESS ? "CUDA_SUCCESS" : "CUDA_ERROR_OF_THE_STAND_IN";
  return CUDA_SUCCESS;
}
DRIVER_CALL cuGetErrorString(CUresult error, const char** text) {
  return cuGetErrorName(error, text);
}

DRIVER_CALL cuDeviceGetCount(int* count) {
  *count = kDevices;
  return CUDA_SUCCESS;
}
DRIVER_CALL cuDeviceGet(CUdevice* device, int ordinal) {
  *device = ordinal;
  return ordinal >= 0 && ordinal < kDevices ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
DRIVER_CALL cuDeviceGetName(char* name, int length, CUdevice) {
  std::strncpy(name, "stand-in", static_cast<size_t>(length));
  return CUDA_SUCCESS;
}
DRIVER_CALL cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9
           : attribute == CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT      ? static_cast<int>(kPitch)
                                                                     : 0;
  return CUDA_SUCCESS;
}
DRIVER_CALL cuDeviceCanAccessPeer(int* can, CUdevice, CUdevice) {
  *can = 0;
  return CUDA_SUCCESS;
}

DRIVER_CALL cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  std::lock_guard lock(driver().mutex);
  CUctx_st& primary = driver().primary[device];
  primary.device = device;
  primary.alive = ++driver().users[device] > 0;
  *context = &primary;
  return CUDA_SUCCESS;
}
DRIVER_CALL cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  std::lock_guard lock(driver().mutex);
  driver().primary[device].alive = --driver().users[device] > 0;
  return CUDA_SUCCESS;
}

DRIVER_CALL cuCtxCreate_v2(CUcontext* context, unsigned, CUdevice device) {
  std::lock_guard lock(driver().mutex);
  ++driver().contexts;
  *context = &driver().created.emplace_back(CUctx_st{device, true});
  current.push_back(*context);
  return CUDA_SUCCESS;
}
DRIVER_CALL cuCtxDestroy_v2(CUcontext context) {
  std::lock_guard lock(driver().mutex);
  if (!context->alive) ++driver().misuses;
  context->alive = false;
  --driver().contexts;
  return CUDA_SUCCESS;
}
DRIVER_CALL cuCtxPushCurrent_v2(CUcontext context) {
  std::lock_guard lock(driver().mutex);
  if (!context->alive) {
    ++driver().misuses;
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  }
  current.push_back(context);
  return CUDA_SUCCESS;
}
DRIVER_CALL cuCtxPopCurrent_v2(CUcontext* context) {
  std::lock_guard lock(driver().mutex);
  if (!usable()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context) *context = current.back();
  current.pop_back();
  return CUDA_SUCCESS;
}

DRIVER_CALL cuMemAllocPitch_v2(CUdeviceptr* data, size_t* pitch, size_t width, size_t height, unsigned) {
  std::lock_guard lock(driver().mutex);
  CUctx_st* context = usable();
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  *pitch = (width + kPitch - 1) / kPitch * kPitch;
  *data = reinterpret_cast<CUdeviceptr>(std::malloc(*pitch * height));
  driver().memory[*data] = context;
  return CUDA_SUCCESS;
}
DRIVER_CALL cuMemFree_v2(CUdeviceptr data) {
  std::lock_guard lock(driver().mutex);
  auto found = driver().memory.find(data);
  if (!usable() || found == driver().memory.end() || found->second != current.back()) {
    ++driver().misuses;
    return CUDA_ERROR_INVALID_VALUE;
  }
  driver().memory.erase(found);
  std::free(reinterpret_cast<void*>(data));
  return CUDA_SUCCESS;
}
DRIVER_CALL cuMemAllocHost_v2(void** data, size_t size) {
  *data = std::malloc(size);
  return CUDA_SUCCESS;
}
DRIVER_CALL cuMemFreeHost(void* data) {
  std::free(data);
  return CUDA_SUCCESS;
}
DRIVER_CALL cuMemcpy2D_v2(const CUDA_MEMCPY2D* copy) {
  std::lock_guard lock(driver().mutex);
  if (!usable()) return CUDA_ERROR_INVALID_CONTEXT;
  auto* from = copy->srcMemoryType == CU_MEMORYTYPE_DEVICE ? reinterpret_cast<const char*>(copy->srcDevice)
                                                           : static_cast<const char*>(copy->srcHost);
  auto* to = copy->dstMemoryType == CU_MEMORYTYPE_DEVICE ? reinterpret_cast<char*>(copy->dstDevice)
                                                         : static_cast<char*>(copy->dstHost);
  for (size_t y = 0; y < copy->Height; ++y)
    std::memcpy(to + y * copy->dstPitch, from + y * copy->srcPitch, copy->WidthInBytes);
  return CUDA_SUCCESS;
}
DRIVER_CALL cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* copy, CUstream) {
  return cuMemcpy2D_v2(copy);
}

DRIVER_CALL cuStreamSynchronize(CUstream) {
  std::lock_guard lock(driver().mutex);
  ++driver().waits;
  if (!usable()) return CUDA_ERROR_INVALID_CONTEXT;
  return driver().failing ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

DRIVER_CALL rgbd_fake_absent() {
  return CUDA_ERROR_NOT_SUPPORTED;
}
// A name that the loader looks for. In assembly, because <cuda.h> declares them all, each its own way.
#define ABSENT(name) __asm__(".globl " #name "\n.set " #name ", rgbd_fake_absent");
ABSENT(cuCtxEnablePeerAccess)
ABSENT(cuCtxDisablePeerAccess)
ABSENT(cuGLGetDevices_v2)
ABSENT(cuGraphicsGLRegisterBuffer)
ABSENT(cuGraphicsGLRegisterImage)
ABSENT(cuGraphicsMapResources)
ABSENT(cuGraphicsResourceGetMappedPointer_v2)
ABSENT(cuGraphicsResourceSetMapFlags_v2)
ABSENT(cuGraphicsSubResourceGetMappedArray)
ABSENT(cuGraphicsUnmapResources)
ABSENT(cuGraphicsUnregisterResource)
ABSENT(cuLaunchKernel)
ABSENT(cuMemAlloc_v2)
ABSENT(cuModuleGetFunction)
ABSENT(cuModuleLoadData)
ABSENT(cuModuleUnload)
ABSENT(cuStreamCreate)
ABSENT(cuStreamDestroy)
ABSENT(cuTexObjectCreate)
ABSENT(cuTexObjectDestroy)
