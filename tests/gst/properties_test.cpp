// SPDX-License-Identifier: Apache-2.0
// The properties of the three elements: documented, with the defaults and ranges of the table, and kept as
// set. Then the statistics, and states up and down.
#include <map>
#include <set>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::Rig;

const char* const kElements[] = {"rgbdrefine", "rgbdtestsrc", "depthcolorize"};

GstElement* make(const char* factory) {
  GstElement* element = gst_element_factory_make(factory, nullptr);
  EXPECT_NE(element, nullptr) << factory;
  return GST_ELEMENT(gst_object_ref_sink(element));
}

/// Those that the element's own class adds.
std::vector<GParamSpec*> own_properties(GstElement* element) {
  guint count = 0;
  GParamSpec** all = g_object_class_list_properties(G_OBJECT_GET_CLASS(element), &count);
  std::vector<GParamSpec*> own;
  for (guint i = 0; i < count; ++i) {
    if (all[i]->owner_type == G_OBJECT_TYPE(element)) own.push_back(all[i]);
  }
  g_free(all);
  return own;
}

std::string text_of(GParamSpec* spec, const GValue& value) {
  if (G_IS_PARAM_SPEC_ENUM(spec))
    return g_enum_get_value(G_PARAM_SPEC_ENUM(spec)->enum_class, g_value_get_enum(&value))->value_nick;
  if (G_VALUE_HOLDS_STRING(&value)) return g_value_get_string(&value) ? g_value_get_string(&value) : "NULL";
  gchar* text = gst_value_serialize(&value);
  std::string result = text ? text : "";
  g_free(text);
  return result;
}

std::string current(GstElement* element, GParamSpec* spec) {
  GValue value = G_VALUE_INIT;
  g_object_get_property(G_OBJECT(element), spec->name, &value);
  std::string text = text_of(spec, value);
  g_value_unset(&value);
  return text;
}

TEST(Properties, EachIsDocumented) {
  for (const char* factory : kElements) {
    GstElement* element = make(factory);
    std::vector<GParamSpec*> specs = own_properties(element);
    EXPECT_GE(specs.size(), 4u) << factory;
    for (GParamSpec* spec : specs) {
      SCOPED_TRACE(std::string(factory) + " " + spec->name);
      EXPECT_GT(std::string(g_param_spec_get_nick(spec)).size(), 1u);
      EXPECT_GT(std::string(g_param_spec_get_blurb(spec)).size(), 20u);
      EXPECT_STRNE(g_param_spec_get_nick(spec), g_param_spec_get_blurb(spec));
      if (spec->flags & G_PARAM_WRITABLE) {
        EXPECT_TRUE(spec->flags &
                    (GST_PARAM_MUTABLE_READY | GST_PARAM_MUTABLE_PLAYING | GST_PARAM_CONTROLLABLE))
            << "when may it be changed?";
      }
      if (G_IS_PARAM_SPEC_ENUM(spec)) {
        GEnumClass* values = G_PARAM_SPEC_ENUM(spec)->enum_class;
        for (guint i = 0; i < values->n_values; ++i) {
          EXPECT_STRNE(values->values[i].value_name, values->values[i].value_nick) << "a description";
        }
      }
    }
    EXPECT_GT(std::string(gst_element_get_metadata(element, GST_ELEMENT_METADATA_DESCRIPTION)).size(), 20u);
    gst_object_unref(element);
  }
}

TEST(Properties, NumbersSayTheirUnit) {
  const std::map<std::string, std::set<std::string>> units{
      {"metres", {"depth-unit", "min-depth", "max-depth"}},
      {"ns", {"batch-timeout", "pts-tolerance", "stats-interval"}},
      {"pixels", {"input-size"}}};
  GstElement* element = make("rgbdrefine");
  for (const auto& [unit, names] : units) {
    for (const std::string& name : names) {
      GParamSpec* spec = g_object_class_find_property(G_OBJECT_GET_CLASS(element), name.c_str());
      ASSERT_NE(spec, nullptr) << name;
      std::string blurb = g_param_spec_get_blurb(spec);
      bool said = blurb.find(unit) != std::string::npos || (unit == "metres" && blurb.find("Metres") == 0);
      EXPECT_TRUE(said) << name << ": " << blurb;
    }
  }
  gst_object_unref(element);
}

TEST(Properties, OfRgbdrefineAreTheContracts) {
  struct {
    const char *name, *type, *initial, *other;
    bool while_playing;
  } const table[] = {
      {"model", "gchararray", "NULL", "fake:add=1", true},
      {"device", "gchararray", "auto", "cpu", false},
      {"precision", "GstRgbdRefinePrecision", "fp32", "bf16", false},
      {"optimize", "gboolean", "true", "false", false},
      {"input-size", "guint", "0", "266", false},
      {"channel-order", "GstRgbdRefineChannelOrder", "auto", "rgb", false},
      {"depth-unit", "gdouble", "0", "0.25", true},
      {"min-depth", "gdouble", "0", "0.5", true},
      {"max-depth", "gdouble", "25", "6", true},
      {"max-hole", "gdouble", "0.29999999999999999", "0.125", true},
      {"temporal", "gdouble", "0", "0.5", true},
      {"model-instance-id", "gchararray", "NULL", "kitchen", false},
      {"batch-size", "guint", "1", "4", false},
      {"batch-timeout", "guint64", "0", "5000000", false},
      {"inference-interval", "guint", "1", "3", true},
      {"skip-policy", "GstRgbdRefineSkipPolicy", "drop", "repeat", true},
      {"pts-tolerance", "guint64", "18446744073709551615", "7000000", true},
      {"sync-mode", "GstRgbdRefineSyncMode", "running-time", "order", false},
      {"leaky", "GstRgbdRefineLeaky", "auto", "downstream", true},
      {"max-pairs", "guint", "2", "5", true},
      {"qos", "gboolean", "true", "false", true},
      {"stats-interval", "guint64", "0", "1000000000", true},
  };
  GstElement* element = make("rgbdrefine");
  std::set<std::string> known{"stats"};
  for (const auto& row : table) {
    SCOPED_TRACE(row.name);
    known.insert(row.name);
    GParamSpec* spec = g_object_class_find_property(G_OBJECT_GET_CLASS(element), row.name);
    ASSERT_NE(spec, nullptr);
    EXPECT_STREQ(g_type_name(spec->value_type), row.type);
    EXPECT_EQ(text_of(spec, *g_param_spec_get_default_value(spec)), row.initial) << "the spec's default";
    EXPECT_EQ(current(element, spec), row.initial) << "what a new element has";
    gst_util_set_object_arg(G_OBJECT(element), row.name, row.other);
    EXPECT_EQ(current(element, spec), row.other);
    EXPECT_EQ((spec->flags & GST_PARAM_MUTABLE_PLAYING) == GST_PARAM_MUTABLE_PLAYING, row.while_playing);
  }
  for (GParamSpec* spec : own_properties(element)) {
    EXPECT_TRUE(known.count(spec->name)) << spec->name << " is not in the contract";
  }
  gst_object_unref(element);
}

TEST(Properties, OfRgbdrefineReachTheCore) {
  ASSERT_TRUE(fake_rgbd::reset());
  Rig rig(
      "model=fake: device=cpu precision=fp16 optimize=false input-size=266 channel-order=rgb "
      "model-instance-id=kitchen batch-size=4 batch-timeout=5000000");
  ASSERT_TRUE(rig.play());
  rgbd::Options options = fake_rgbd::last_options();
  EXPECT_EQ(options.model, "fake:");
  EXPECT_EQ(options.device, "cpu");
  EXPECT_EQ(options.precision, rgbd::Precision::kFp16);
  EXPECT_FALSE(options.optimize);
  EXPECT_EQ(options.input_size, 266u);
  EXPECT_EQ(options.channel_order, rgbd::ChannelOrder::kRgb);
  EXPECT_EQ(options.instance_id, "kitchen");
  EXPECT_EQ(options.batch_size, 4u);
  EXPECT_EQ(options.batch_timeout_ns, 5000000u);
}

TEST(Properties, OthersKeepWhatIsSet) {
  for (const char* factory : {"rgbdtestsrc", "depthcolorize"}) {
    GstElement* element = make(factory);
    for (GParamSpec* spec : own_properties(element)) {
      SCOPED_TRACE(std::string(factory) + " " + spec->name);
      EXPECT_EQ(current(element, spec), text_of(spec, *g_param_spec_get_default_value(spec)));
      GValue value = G_VALUE_INIT;
      g_value_init(&value, spec->value_type);
      if (G_IS_PARAM_SPEC_ENUM(spec)) {
        GEnumClass* values = G_PARAM_SPEC_ENUM(spec)->enum_class;
        for (guint i = 0; i < values->n_values; ++i) {
          g_value_set_enum(&value, values->values[i].value);
          g_object_set_property(G_OBJECT(element), spec->name, &value);
          EXPECT_EQ(current(element, spec), values->values[i].value_nick);
        }
      } else {
        const char* text =
            spec->value_type == G_TYPE_BOOLEAN ? (current(element, spec) == "true" ? "false" : "true") : "3";
        gst_util_set_object_arg(G_OBJECT(element), spec->name, text);
        EXPECT_EQ(current(element, spec), text);
      }
      g_value_unset(&value);
    }
    gst_object_unref(element);
  }
}

TEST(Statistics, SayWhatBecameOfEveryFrame) {
  ASSERT_TRUE(fake_rgbd::reset());
  Rig rig("inference-interval=2 skip-policy=raw");
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 5; ++n) {
    rig.push_rgb(rgbd::testing::rgb_frame(n, static_cast<GstClockTime>(n) * rgbd::testing::kFrame));
    rig.push_depth(rgbd::testing::depth_frame(
        n, static_cast<GstClockTime>(n) * rgbd::testing::kFrame + (n == 4 ? 2 : 0) * GST_MSECOND));
  }
  rig.push_rgb(rgbd::testing::rgb_frame(5, 5 * rgbd::testing::kFrame));
  rig.end();
  EXPECT_EQ(rig.pull_all().size(), 5u);
  const std::map<std::string, uint64_t> counts{{"rgb-in", 6},
                                               {"depth-in", 5},
                                               {"pairs-in", 5},
                                               {"pairs-out", 5},
                                               {"refined", 3},
                                               {"raw", 2},
                                               {"repeated", 0},
                                               {"skew-avg", 400000},
                                               {"skew-max", 2000000},
                                               {"dropped-unpaired-rgb", 1},
                                               {"dropped-unpaired-depth", 0},
                                               {"dropped-interval", 0},
                                               {"dropped-late", 0},
                                               {"dropped-qos", 0},
                                               {"dropped-bad", 0},
                                               {"dropped-flushed", 0},
                                               {"host-to-device-copies", 6},
                                               {"host-to-device-bytes", 300},
                                               {"device-to-host-copies", 0},
                                               {"device-to-host-bytes", 0}};
  for (const auto& [name, count] : counts) EXPECT_EQ(rig.stat(name.c_str()), count) << name;
  GstStructure* stats = nullptr;
  g_object_get(rig.refine(), "stats", &stats, nullptr);
  for (const char* stage : {"queue", "preprocess", "inference", "postprocess", "total"}) {
    for (const char* share : {"p50", "p95"}) {
      double ms = -1;
      std::string name = std::string(stage) + "-ms-" + share;
      EXPECT_TRUE(gst_structure_get_double(stats, name.c_str(), &ms)) << name;
      EXPECT_GE(ms, 0) << name;
      if (std::string(stage) == "inference") {
        EXPECT_DOUBLE_EQ(ms, 1) << "what the stand-in says";
      }
    }
  }
  EXPECT_STREQ(gst_structure_get_string(stats, "device"), "cpu");
  EXPECT_STREQ(gst_structure_get_string(stats, "precision"), "fp32");
  EXPECT_NE(gst_structure_get_string(stats, "model"), nullptr);
  gst_structure_free(stats);
}

TEST(Statistics, ComeAsMessagesToo) {
  ASSERT_TRUE(fake_rgbd::reset());
  Rig rig("stats-interval=1");
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 3; ++n) rig.push_pair(n);
  rig.end();
  EXPECT_EQ(rig.pull_all().size(), 3u);
  GstMessage* message = rig.message(GST_MESSAGE_ELEMENT);
  ASSERT_NE(message, nullptr);
  const GstStructure* stats = gst_message_get_structure(message);
  EXPECT_TRUE(gst_structure_has_name(stats, "rgbd-stats"));
  EXPECT_TRUE(gst_structure_has_field(stats, "pairs-out"));
  gst_message_unref(message);
}

TEST(Statistics, ComeAlsoWhenNothingComesOut) {
  ASSERT_TRUE(fake_rgbd::reset());
  Rig rig("stats-interval=1");
  ASSERT_TRUE(rig.play());
  for (int n = 0; n < 3; ++n) rig.push_rgb(rgbd::testing::rgb_frame(n, n * rgbd::testing::kFrame));
  rig.end();
  EXPECT_EQ(rig.pull_all().size(), 0u) << "no depth";
  GstMessage* message = rig.message(GST_MESSAGE_ELEMENT);
  ASSERT_NE(message, nullptr);
  EXPECT_TRUE(gst_structure_has_name(gst_message_get_structure(message), "rgbd-stats"));
  gst_message_unref(message);
}

TEST(States, UpAndDownInEveryOrderManyTimes) {
  const GstState up_and_down[] = {GST_STATE_READY,   GST_STATE_NULL,   GST_STATE_PAUSED,  GST_STATE_NULL,
                                  GST_STATE_PLAYING, GST_STATE_READY,  GST_STATE_PAUSED,  GST_STATE_READY,
                                  GST_STATE_PLAYING, GST_STATE_PAUSED, GST_STATE_PLAYING, GST_STATE_NULL};
  for (const char* factory : kElements) {
    GstElement* element = make(factory);
    for (int round = 0; round < 20; ++round) {
      if (round >= 2 && std::string(factory) == "rgbdtestsrc") break;  // it makes its noise anew each time
      for (GstState state : up_and_down) {
        EXPECT_NE(gst_element_set_state(element, state), GST_STATE_CHANGE_FAILURE)
            << factory << " to " << gst_element_state_get_name(state);
      }
    }
    EXPECT_EQ(GST_OBJECT_REFCOUNT_VALUE(element), 1) << factory;
    gst_object_unref(element);
  }
}

}  // namespace
