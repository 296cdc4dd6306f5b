// SPDX-License-Identifier: Apache-2.0
// Exceptions to bus messages, see errors.h.
#include "gst/refine/errors.h"

#include <exception>
#include <new>
#include <string>

#include "core/rgbd.h"

namespace rgbd::refine {
namespace {

struct Kind {
  GQuark domain;
  int code;
};

/// The one table from the core's codes to GStreamer's.
Kind kind_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND};
    case ErrorCode::kBadCheckpoint:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ};
    case ErrorCode::kUnsupported:
      return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS};
    case ErrorCode::kDevice:
      return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_INIT};
    case ErrorCode::kOutOfMemory:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT};
    case ErrorCode::kInvalidArgument:
      return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS};
    case ErrorCode::kInternal:
      break;
  }
  return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED};
}

void post(GstElement* element, Kind kind, const char* text, const char* doing) {
  gst_element_message_full(element, GST_MESSAGE_ERROR, kind.domain, kind.code, g_strdup(text),
                           g_strdup_printf("while %s", doing), __FILE__, doing, __LINE__);
}

}  // namespace

void post_current_exception(GstElement* element, const char* doing) noexcept {
  try {
    throw;
  } catch (const Error& error) {
    post(element, kind_of(error.code()), error.what(), doing);
  } catch (const std::bad_alloc&) {
    post(element, kind_of(ErrorCode::kOutOfMemory), "There is not enough memory.", doing);
  } catch (const std::exception& error) {
    post(element, kind_of(ErrorCode::kInternal), error.what(), doing);
  } catch (...) {
    post(element, kind_of(ErrorCode::kInternal), "An exception of an unknown type was thrown.", doing);
  }
}

}  // namespace rgbd::refine
