// SPDX-License-Identifier: Apache-2.0
// See errors.h.
#include "core/errors.h"

#include <c10/util/Exception.h>

#include <new>

#include "core/log.h"
#include "core/utf8.h"

namespace rgbd {
namespace {

// torch's CPU allocator has no exception type of its own.
bool says_out_of_memory(const std::string& text) {
  return text.find("can't allocate memory") != std::string::npos ||
         text.find("out of memory") != std::string::npos || text.find("_ALLOC_FAILED") != std::string::npos;
}

// 2.6 has no exception type for it.
bool says_device(const std::string& text) {
  return text.find("CUDA error") != std::string::npos || text.find("CUDA driver error") != std::string::npos;
}

Error from_torch(const std::string& doing, const c10::Error& error) {
  log(LogLevel::kDebug, error.what());  // with its backtrace
  const std::string text = valid_utf8(doing + ": " + error.what_without_backtrace());
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) || says_out_of_memory(text)) {
    return {ErrorCode::kOutOfMemory, text};
  }
  return {says_device(text) ? ErrorCode::kDevice : ErrorCode::kInternal, text};
}

}  // namespace

Error current_error(const std::string& doing) {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), valid_utf8(error.what())};
  } catch (const c10::Error& error) {
    return from_torch(doing, error);
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, doing + ": no memory left"};
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, valid_utf8(doing + ": " + error.what())};
  } catch (...) {
    return {ErrorCode::kInternal, doing + ": an exception of unknown type"};
  }
}

}  // namespace rgbd
