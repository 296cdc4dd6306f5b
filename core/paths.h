// SPDX-License-Identifier: Apache-2.0
// Files that come with the library, found from where the library itself lies, so that an install can be
// moved.
#pragma once

#include <string>

namespace rgbd {

/// The folder of the file this code was loaded from (librgbd.so, or a test program).
std::string library_folder();

/// The embedded model: in $RGBD_DATA_DIR if set, else in the data folder beside the library's.
/// Throws Error{kNotFound} with the path when it is not there.
std::string embedded_model();

}  // namespace rgbd
