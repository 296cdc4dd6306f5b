// SPDX-License-Identifier: Apache-2.0
#include "gst/refine/unwinder.h"

// Linux with shared libgcc, as Meson finds it; elsewhere there are no two libraries to choose from.
#if RGBD_OWN_RESUME
#include <dlfcn.h>
#include <unwind.h>

#include <cstdlib>
#include <cstring>

namespace rgbd::refine {
namespace {

using Resume = void (*)(_Unwind_Exception*);

constexpr const char* kLibunwind = "libunwind.so.8";

/// Whether libstdc++ begins exceptions with libunwind. Of one that was caught that has kept where the
/// handler's code is, libgcc_s where its frame is; there is nothing here to clean up, so that nothing is
/// resumed.
bool begun_by_libunwind() {
  try {
    throw 0;
  } catch (const int& thrown) {
    const auto* const header = reinterpret_cast<const _Unwind_Exception*>(&thrown) - 1;
    Dl_info code{};
    return dladdr(reinterpret_cast<const void*>(header->private_2), &code) != 0;
  }
}

Resume find_in(void* scope) {
  return reinterpret_cast<Resume>(dlsym(scope, "_Unwind_Resume"));
}

Resume find_in(const char* library, int flags) {
  void* const handle = dlopen(library, RTLD_NOW | flags);
  return handle ? find_in(handle) : nullptr;
}

bool is_libunwinds(Resume resume) {
  Dl_info library{};
  return resume && dladdr(reinterpret_cast<const void*>(resume), &library) && library.dli_fname &&
         std::strstr(library.dli_fname, kLibunwind);
}

/// What libstdc++ goes with. What the plugin would be bound to, if that is the same library.
Resume find_right() {
  const Resume bound = find_in(RTLD_DEFAULT);
  const bool by_libunwind = begun_by_libunwind();
  if (by_libunwind == is_libunwinds(bound)) return bound;
  const Resume other = by_libunwind ? find_in(kLibunwind, RTLD_NOLOAD) : find_in("libgcc_s.so.1", 0);
  return other ? other : bound;
}

Resume right() {
  static const Resume found = find_right();
  return found;
}

}  // namespace

int flags_for_exceptions() {
// AddressSanitizer ends a program that asks for it.
#if defined RTLD_DEEPBIND && !defined __SANITIZE_ADDRESS__
  if (!is_libunwinds(right()) && is_libunwinds(find_in(nullptr, 0))) return RTLD_DEEPBIND;
#endif
  return 0;
}

}  // namespace rgbd::refine

#ifndef __has_attribute
#define __has_attribute(name) 0
#endif
#if __has_attribute(disable_sanitizer_instrumentation)
#define RGBD_PLAIN disable_sanitizer_instrumentation, no_instrument_function
#else
#define RGBD_PLAIN no_sanitize("thread"), no_instrument_function
#endif

// The plugin's own, in front of any library's. It must have nothing to clean up, or its own frame would be
// resumed for ever: so nothing may be added to it. No caller is seen before code is made: used.
extern "C" __attribute__((visibility("hidden"), used, noinline, RGBD_PLAIN)) void rgbd_resume(
    _Unwind_Exception* exception) __asm__("_Unwind_Resume");

void rgbd_resume(_Unwind_Exception* exception) {
  if (const auto resume = rgbd::refine::right()) resume(exception);
  std::abort();
}
#else
namespace rgbd::refine {

int flags_for_exceptions() {
  return 0;
}

}  // namespace rgbd::refine
#endif
