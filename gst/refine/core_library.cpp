// SPDX-License-Identifier: Apache-2.0
// dlopen() of librgbd.so, see core_library.h. Its log goes to the debug category `rgbdcore`.
#include "gst/refine/core_library.h"

#include <dlfcn.h>
#include <gst/gst.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "gst/refine/unwinder.h"

namespace rgbd::refine {
namespace {

GstDebugLevel level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return GST_LEVEL_ERROR;
    case LogLevel::kWarning:
      return GST_LEVEL_WARNING;
    case LogLevel::kInfo:
      return GST_LEVEL_INFO;
    case LogLevel::kDebug:
      return GST_LEVEL_DEBUG;
    case LogLevel::kTrace:
      return GST_LEVEL_TRACE;
  }
  return GST_LEVEL_LOG;
}

void forward_log(Runtime* runtime) {
  static GstDebugCategory* category = _gst_debug_category_new("rgbdcore", 0, "librgbd's own log");
  runtime->set_log_sink([](LogLevel level, const std::string& text) {
    gst_debug_log(category, level_of(level), "librgbd", "", 0, nullptr, "%s", text.c_str());
  });
}

std::vector<std::string> candidates() {
  if (const char* named = std::getenv("RGBD_LIBRARY"); named && *named) return {named};
  Dl_info self{};
  std::string folder = ".";
  if (dladdr(reinterpret_cast<const void*>(&core_library), &self) && self.dli_fname) {
    std::string file = self.dli_fname;
    if (auto slash = file.rfind('/'); slash != std::string::npos) folder = file.substr(0, slash);
  }
  return {folder + "/../core/librgbd.so", folder + "/../librgbd.so.0"};
}

Runtime* open_runtime(const std::string& path, std::string& reasons) {
  // In front of everything that librgbd.so brings: built by a compiler that links its C++ library statically,
  // librgbd.so would put parts of that copy between torch and torch's libstdc++ (cuDNN then jumps to address
  // 0).
  (void)dlopen("libstdc++.so.6", RTLD_NOW | RTLD_GLOBAL);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | flags_for_exceptions());
  if (!handle) {
    reasons += std::string("; ") + dlerror();
    return nullptr;
  }
  auto entry = reinterpret_cast<decltype(&rgbd_runtime)>(dlsym(handle, "rgbd_runtime"));
  Runtime* runtime = entry ? entry(kAbiVersion) : nullptr;
  if (!runtime) reasons += "; " + path + " is of another version than the plugin";
  return runtime;
}

}  // namespace

Runtime* core_library() {
  static std::mutex mutex;
  static std::map<std::string, Runtime*> opened;  // never closed: torch cannot be unloaded
  std::lock_guard lock(mutex);
  std::string reasons;
  for (const std::string& path : candidates()) {
    auto& runtime = opened[path];
    if (!runtime && (runtime = open_runtime(path, reasons))) forward_log(runtime);
    if (runtime) return runtime;
  }
  throw Error(ErrorCode::kUnsupported, "librgbd.so, which holds the network, cannot be opened" + reasons +
                                           ". Run ./pipelines/setup.sh, which installs torch, and "
                                           "./pipelines/build.sh, or set RGBD_LIBRARY to its path.");
}

}  // namespace rgbd::refine
