// SPDX-License-Identifier: Apache-2.0
// See paths.h. RGBD_DATA_FROM_LIBRARY comes from meson.build: the data folder, relative to the library's.
#include "core/paths.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "core/rgbd.h"

namespace rgbd {

std::string library_folder() {
  Dl_info self{};
  if (!dladdr(reinterpret_cast<const void*>(&library_folder), &self) || !self.dli_fname) return ".";
  return std::filesystem::absolute(self.dli_fname).parent_path().string();
}

std::string embedded_model() {
  namespace fs = std::filesystem;
  const char* set = std::getenv("RGBD_DATA_DIR");
  const fs::path folder = set && *set ? fs::path(set) : fs::path(library_folder()) / RGBD_DATA_FROM_LIBRARY;
  const fs::path file = (folder / "rgbdrefine.safetensors").lexically_normal();
  std::error_code failed;
  if (!fs::exists(file, failed)) {
    throw Error(ErrorCode::kNotFound,
                "the embedded model is not at " + file.string() +
                    ": install it, name its folder in RGBD_DATA_DIR, or name a checkpoint");
  }
  return file.string();
}

}  // namespace rgbd
