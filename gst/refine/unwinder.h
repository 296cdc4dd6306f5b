// SPDX-License-Identifier: Apache-2.0
// Which of two libraries carries C++ exceptions on: libgcc_s, or libunwind, which libgstreamer brings. Both
// have _Unwind_Resume, and one that goes on with what the other has begun ends the program. Mostly all are
// bound to the same. But where libstdc++ is in the process before libgstreamer, as in Python with numpy, it
// is bound to libgcc_s, and what comes after libgstreamer, as this plugin, torch and librgbd, would be to
// libunwind.
#pragma once

namespace rgbd::refine {

/// What to add to dlopen()'s flags so that the library, and all that it brings, resumes exceptions as
/// libstdc++ begins them: RTLD_DEEPBIND in that case, else 0. Its price: what is preloaded, such as another
/// malloc, does not serve them. In the plugin itself exceptions are resumed rightly without more ado.
int flags_for_exceptions();

}  // namespace rgbd::refine
