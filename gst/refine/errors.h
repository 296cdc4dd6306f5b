// SPDX-License-Identifier: Apache-2.0
// The error border: exceptions of the core and of the standard library become one message on the bus.
#pragma once

#include <gst/gst.h>

#include <type_traits>
#include <utility>

namespace rgbd::refine {

/// Inside a catch block: posts the current exception as GST_ELEMENT_ERROR. `doing` says what failed.
void post_current_exception(GstElement* element, const char* doing) noexcept;

/// Runs `body`. An exception is posted and `on_error` returned: none crosses a GObject function.
template <typename Result, typename Body>
Result guarded(GstElement* element, const char* doing, Result on_error, Body&& body) noexcept {
  try {
    return std::forward<Body>(body)();
  } catch (...) {
    post_current_exception(element, doing);
    return on_error;
  }
}

}  // namespace rgbd::refine
