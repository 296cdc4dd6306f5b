// SPDX-License-Identifier: Apache-2.0
// The one place where torch's and the standard library's exceptions become rgbd::Error.
#pragma once

#include <exception>
#include <string>

#include "core/rgbd.h"

namespace rgbd {

/// For `catch (...)`: the exception being handled as an Error, in UTF-8. An Error keeps its code and text;
/// another gets `doing` in front ("loading the model", …). Never throws anything else.
Error current_error(const std::string& doing);

/// Runs `body`; whatever it throws leaves as an Error.
template <class Body>
auto guarded(const std::string& doing, Body&& body) {
  try {
    return body();
  } catch (...) {
    throw current_error(doing);
  }
}

}  // namespace rgbd
