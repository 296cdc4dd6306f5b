// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/options.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/rgbd.h"
#include "pipelines/refine/failure.h"
#include "pipelines/refine/owned.h"
#include "pipelines/refine/sequence.h"

namespace rgbd {
namespace {

constexpr int kLargestInputSize = 16384;  // what the element's property takes
constexpr double kLargestStep = 1000;     // metres, likewise

/// What GOption writes into; strings are its own copies.
struct Parsed {
  gchar* rgb = nullptr;
  gchar* depth = nullptr;
  gchar* output = nullptr;
  gchar* output_depth = nullptr;
  gchar* model = nullptr;
  gchar* encoder = nullptr;
  gint input_size = 0;
  gdouble depth_scale = 1000;
  gdouble max_depth = 25;
  gdouble max_hole = DepthView{}.max_hole;
  gdouble temporal = RefineOptions{}.temporal;
  gdouble image_min = 0.1;
  gdouble image_max = 5;
  gchar* device = nullptr;
  gchar* precision = nullptr;
  gboolean no_optimize = FALSE;
  gboolean version = FALSE;

  Parsed() = default;
  Parsed(const Parsed&) = delete;
  ~Parsed() {
    for (gchar* text : {rgb, depth, output, output_depth, model, encoder, device, precision}) g_free(text);
  }
};

[[noreturn]] void refuse(const std::string& sentence) {
  throw Failure(sentence, kExitUsage);
}

std::string text_or(const gchar* text, const char* otherwise) {
  return text ? text : otherwise;
}

void require_one_of(const char* flag, const std::string& value, const std::vector<std::string>& choices) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  std::string list;
  for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
  refuse(std::string(flag) + ": unknown value '" + value + "' (choose from " + list + ")");
}

void require_positive(const char* flag, double value) {
  if (std::isfinite(value) && value > 0) return;
  refuse(std::string(flag) + " must be a number above 0");
}

void require_device(const std::string& value) {
  std::string_view number(value);
  if (number.starts_with("cuda:")) {
    number.remove_prefix(5);
    if (!number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos) return;
  }
  require_one_of("--device", value, {"auto", "cuda", "cuda:N", "mps", "cpu"});
}

/// A pattern in, a pattern out: else one frame would overwrite the other.
void require_same_kind(const char* flag, const std::string& output, bool sequence) {
  if (output.empty() || NumberedName::parse(output).has_value() == sequence) return;
  refuse(sequence ? std::string(flag) + " '" + output +
                        "': a sequence needs a number in the name, as in frame_%05d.png"
                  : std::string(flag) + " '" + output + "' has a number in the name but --input has none");
}

}  // namespace

RefineOptions parse_options(int argc, char** argv) {
  Parsed parsed;
  const GOptionEntry entries[] = {
      {"input", 0, 0, G_OPTION_ARG_FILENAME, &parsed.rgb,
       "Colour image, PNG or JPEG; %05d in it means a sequence", "FILE"},
      {"rgb-image", 0, 0, G_OPTION_ARG_FILENAME, &parsed.rgb, "Same as --input", "FILE"},
      {"depth", 0, 0, G_OPTION_ARG_FILENAME, &parsed.depth, "Depth image, 16-bit grayscale PNG, 0 = no depth",
       "FILE"},
      {"depth-image", 0, 0, G_OPTION_ARG_FILENAME, &parsed.depth, "Same as --depth", "FILE"},
      {"output", 0, 0, G_OPTION_ARG_FILENAME, &parsed.output,
       "Picture to write: colour, raw, refined, relative difference (default: output.png; '' for none)",
       "FILE"},
      {"output-depth", 0, 0, G_OPTION_ARG_FILENAME, &parsed.output_depth,
       "Refined depth to write, 16-bit PNG in the input's unit (default: none)", "FILE"},
      {"model-path", 0, 0, G_OPTION_ARG_FILENAME, &parsed.model, "Checkpoint (default: the embedded model)",
       "FILE"},
      {"model", 0, 0, G_OPTION_ARG_FILENAME, &parsed.model, "Same as --model-path", "FILE"},
      {"encoder", 0, 0, G_OPTION_ARG_STRING, &parsed.encoder,
       "Fail unless the model has this encoder: auto, vits, vitb, vitl or vitg (default: auto = any)",
       "NAME"},
      {"input-size", 0, 0, G_OPTION_ARG_INT, &parsed.input_size,
       "Network's short side in pixels (default: 0 = the model's own, 518 for the published ones)", "PIXELS"},
      {"depth-scale", 0, 0, G_OPTION_ARG_DOUBLE, &parsed.depth_scale,
       "Steps per metre of the depth image (default: 1000)", "STEPS"},
      {"max-depth", 0, 0, G_OPTION_ARG_DOUBLE, &parsed.max_depth,
       "Input depth beyond this is treated as no depth (default: 25)", "METRES"},
      {"max-hole", 0, 0, G_OPTION_ARG_DOUBLE, &parsed.max_hole,
       "Largest hole to fill, 0 to 1 of the depth image (default: 0.3; 1 = fill all)", "FRACTION"},
      {"temporal", 0, 0, G_OPTION_ARG_DOUBLE, &parsed.temporal,
       "How much of the frames before steadies a sequence, 0 to 1 (default: 0 = every frame stands alone)",
       "WEIGHT"},
      {"image-min", 0, 0, G_OPTION_ARG_DOUBLE, &parsed.image_min,
       "Nearest depth of the colours (default: 0.1)", "METRES"},
      {"image-max", 0, 0, G_OPTION_ARG_DOUBLE, &parsed.image_max,
       "Farthest depth of the colours (default: 5.0)", "METRES"},
      {"device", 0, 0, G_OPTION_ARG_STRING, &parsed.device,
       "auto, cuda, cuda:N, mps or cpu (default: auto = the first of cuda, mps, cpu)", "NAME"},
      {"precision", 0, 0, G_OPTION_ARG_STRING, &parsed.precision, "fp32, fp16 or bf16 (default: fp32)",
       "NAME"},
      {"no-optimize", 0, 0, G_OPTION_ARG_NONE, &parsed.no_optimize, "Run the plain operations, for debugging",
       nullptr},
      {"version", 0, 0, G_OPTION_ARG_NONE, &parsed.version, "Print the version", nullptr},
      {}};

  Owned<GOptionContext> context(
      g_option_context_new("--input=RGB --depth=DEPTH - clean metric depth from colour and noisy depth"));
  g_option_context_add_main_entries(context.get(), entries, nullptr);
  GError* raw_error = nullptr;
  if (!g_option_context_parse(context.get(), &argc, &argv, &raw_error)) {
    OwnedError error(raw_error);
    refuse(error->message);
  }
  if (parsed.version) {
    std::puts("rgbd-refine " RGBD_VERSION);
    std::exit(0);
  }
  if (argc > 1) refuse(std::string("unexpected argument '") + argv[1] + "'");

  RefineOptions options;
  options.rgb = text_or(parsed.rgb, "");
  options.depth = text_or(parsed.depth, "");
  if (options.rgb.empty()) refuse("--input is missing: name the colour image");
  if (options.depth.empty()) refuse("--depth is missing: name the depth image");

  const auto sequence = NumberedName::parse(options.rgb);
  if (NumberedName::parse(options.depth).has_value() != sequence.has_value())
    refuse("--input and --depth must both have a number in the name (%05d), or neither");
  options.output =
      text_or(parsed.output, sequence ? ("output_" + sequence->conversion() + ".png").c_str() : "output.png");
  options.output_depth = text_or(parsed.output_depth, "");
  require_same_kind("--output", options.output, sequence.has_value());
  require_same_kind("--output-depth", options.output_depth, sequence.has_value());

  options.model = text_or(parsed.model, "");
  options.encoder = text_or(parsed.encoder, "auto");
  require_one_of("--encoder", options.encoder, {"auto", "vits", "vitb", "vitl", "vitg"});
  if (parsed.input_size != 0 && parsed.input_size < kSmallestSide)
    refuse("--input-size " + std::to_string(parsed.input_size) + " is too small: " +
           std::to_string(kSmallestSide) + " pixels are the least, 0 is the model's own size");
  if (parsed.input_size > kLargestInputSize)
    refuse("--input-size " + std::to_string(parsed.input_size) +
           " is too large: " + std::to_string(kLargestInputSize) + " pixels are the most");
  options.input_size = static_cast<unsigned>(parsed.input_size);
  options.steps_per_metre = parsed.depth_scale;
  options.max_depth_m = parsed.max_depth;
  options.max_hole = parsed.max_hole;
  options.temporal = parsed.temporal;
  options.image_min_m = parsed.image_min;
  options.image_max_m = parsed.image_max;
  require_positive("--depth-scale", options.steps_per_metre);
  if (1 / options.steps_per_metre > kLargestStep)
    refuse("--depth-scale must be at least 0.001 steps per metre");
  require_positive("--max-depth", options.max_depth_m);
  if (!(options.max_hole >= 0 && options.max_hole <= 1)) refuse("--max-hole must be a number from 0 to 1");
  if (!(options.temporal >= 0 && options.temporal <= 1)) refuse("--temporal must be a number from 0 to 1");
  if (!std::isfinite(options.image_min_m) || !std::isfinite(options.image_max_m) ||
      options.image_max_m <= options.image_min_m)
    refuse("--image-max must be above --image-min");
  options.device = text_or(parsed.device, "auto");
  require_device(options.device);
  options.precision = text_or(parsed.precision, "fp32");
  require_one_of("--precision", options.precision, {"fp32", "fp16", "bf16"});
  options.optimize = !parsed.no_optimize;
  return options;
}

}  // namespace rgbd
