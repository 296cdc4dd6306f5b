// SPDX-License-Identifier: Apache-2.0
#include "gst/refine/unwinder.h"

#include <dlfcn.h>
#include <unwind.h>

#include <cstdlib>

namespace rgbd::refine {
namespace {

using Resume = void (*)(_Unwind_Exception*);

/// Whether libstdc++ begins exceptions with libgcc_s. Of one that was caught libgcc_s has kept where the
/// handler's frame is, libunwind where its code is; there is nothing here to clean up, so that nothing is
/// resumed.
bool begun_by_libgcc() {
  try {
    throw 0;
  } catch (const int& thrown) {
    const auto* const header = reinterpret_cast<const _Unwind_Exception*>(&thrown) - 1;
    Dl_info code{};
    return dladdr(reinterpret_cast<const void*>(header->private_2), &code) == 0;
  }
}

Resume find_in(void* library) {
  return reinterpret_cast<Resume>(dlsym(library, "_Unwind_Resume"));
}

Resume of_libgcc() {
  void* const library = dlopen("libgcc_s.so.1", RTLD_NOW);
  return library ? find_in(library) : nullptr;
}

struct Choice {
  Resume first = find_in(RTLD_DEFAULT);  // of the process: what dlopen() binds to
  Resume right = begun_by_libgcc() ? of_libgcc() : first;
};

const Choice& choice() {
  static const Choice made;
  return made;
}

}  // namespace

int flags_for_exceptions() {
#if defined RTLD_DEEPBIND && RGBD_OWN_RESUME
  if (choice().right && choice().right != choice().first) return RTLD_DEEPBIND;
#endif
  return 0;
}

}  // namespace rgbd::refine

#if RGBD_OWN_RESUME
// The plugin's own, in front of any library's. It must have nothing to clean up, or its own frame would be
// resumed for ever; ThreadSanitizer would add such.
extern "C" __attribute__((visibility("hidden"), no_sanitize("thread"))) void rgbd_resume(
    _Unwind_Exception* exception) __asm__("_Unwind_Resume");

void rgbd_resume(_Unwind_Exception* exception) {
  const auto& choice = rgbd::refine::choice();
  if (const auto resume = choice.right ? choice.right : choice.first) resume(exception);
  std::abort();
}
#endif
