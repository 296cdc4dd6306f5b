// SPDX-License-Identifier: Apache-2.0
// Texts that leave the library, in messages, logs and Info, are UTF-8 whatever a file's name or content is.
#pragma once

#include <string>
#include <string_view>

namespace rgbd {

/// `text` with U+FFFD in place of each byte that belongs to no UTF-8 character, as GLib's
/// g_utf8_make_valid().
std::string valid_utf8(std::string_view text);

}  // namespace rgbd
