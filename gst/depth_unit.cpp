// SPDX-License-Identifier: Apache-2.0
// The caps field `depth-unit`, see depth_unit.h.
#include "gst/depth_unit.h"

#include <cmath>

#include "gst/plugin.h"

namespace rgbd {
namespace {

double number_of(const GValue* value) {
  if (G_VALUE_HOLDS_DOUBLE(value)) return g_value_get_double(value);
  if (G_VALUE_HOLDS_FLOAT(value)) return g_value_get_float(value);
  if (G_VALUE_HOLDS_INT(value)) return g_value_get_int(value);
  if (GST_VALUE_HOLDS_FRACTION(value))
    return static_cast<double>(gst_value_get_fraction_numerator(value)) /
           gst_value_get_fraction_denominator(value);
  return 0;
}

}  // namespace

std::optional<double> depth_unit_of(const GstCaps* caps) {
  if (!caps || gst_caps_is_empty(caps) || gst_caps_is_any(caps)) return {};
  const GValue* value = gst_structure_get_value(gst_caps_get_structure(caps, 0), RGBD_CAPS_DEPTH_UNIT);
  if (!value) return {};
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  g_ascii_formatd(digits, sizeof digits, "%.7g", number_of(value));
  double unit = g_ascii_strtod(digits, nullptr);
  if (!std::isfinite(unit) || unit <= 0) return {};
  return unit;
}

}  // namespace rgbd
