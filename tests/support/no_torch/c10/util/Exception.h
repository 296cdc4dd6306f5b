// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace c10 {
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
  const char* what_without_backtrace() const { return what(); }
};
struct OutOfMemoryError : Error {
  using Error::Error;
};
}  // namespace c10

#define TORCH_CHECK_WITH(type, condition, text) \
  if (!(condition)) throw c10::type(text)
#define TORCH_CHECK(condition, text) TORCH_CHECK_WITH(Error, condition, text)
