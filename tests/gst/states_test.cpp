// SPDX-License-Identifier: Apache-2.0
// Every element of the plugin through the states, alone, in numbers and in pipelines, as GStreamer's own test
// of all elements (tests/check/generic/states.c) does it. What is left behind, environment.h looks for.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"

namespace {

constexpr std::array kStates = {GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED, GST_STATE_PLAYING};

std::vector<std::string> elements_of_the_plugin() {
  std::vector<std::string> names;
  GList* features = gst_registry_get_feature_list_by_plugin(gst_registry_get(), "rgbd");
  for (GList* each = features; each; each = each->next)
    if (GST_IS_ELEMENT_FACTORY(each->data)) names.emplace_back(GST_OBJECT_NAME(each->data));
  gst_plugin_feature_list_free(features);
  return names;
}

GstElement* make(const std::string& name) {
  return GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make(name.c_str(), nullptr)));
}

GstElement* parse(const char* text) {
  GError* error = nullptr;
  GstElement* made = gst_parse_launch(text, &error);
  EXPECT_EQ(error, nullptr) << error->message;
  return GST_ELEMENT(gst_object_ref_sink(made));
}

GstStateChangeReturn set_and_wait(GstElement* element, GstState to) {
  GstStateChangeReturn result = gst_element_set_state(element, to);
  if (result == GST_STATE_CHANGE_FAILURE) return result;
  return gst_element_get_state(element, nullptr, nullptr, GST_CLOCK_TIME_NONE);
}

/// Sets the state and waits until it is reached.
void change(GstElement* element, GstState to) {
  SCOPED_TRACE(std::string(GST_OBJECT_NAME(element)) + " to " + gst_element_state_get_name(to));
  GstStateChangeReturn result = set_and_wait(element, to);
  // A bin gives a change up when a child posts an error meanwhile. A source on its own does, once after each
  // start, when its first frame finds no pad linked. The second try goes on from there.
  if (result == GST_STATE_CHANGE_FAILURE && GST_IS_BIN(element) && !GST_IS_PIPELINE(element))
    result = set_and_wait(element, to);
  ASSERT_TRUE(result == GST_STATE_CHANGE_SUCCESS || result == GST_STATE_CHANGE_NO_PREROLL)
      << gst_element_state_change_return_get_name(result);
  ASSERT_EQ(GST_STATE(element), to);
  ASSERT_EQ(GST_STATE_PENDING(element), GST_STATE_VOID_PENDING);
}

/// Every sequence of `length` states, one after the other.
template <typename Visit>
void all_sequences(int length, Visit&& visit) {
  int count = 1;
  for (int i = 0; i < length; ++i) count *= 4;
  for (int number = 0; number < count; ++number) {
    for (int i = 0, rest = number; i < length; ++i, rest /= 4) {
      visit(kStates[static_cast<size_t>(rest % 4)]);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

void expect_last_reference(GstElement* element) {
  EXPECT_EQ(GST_OBJECT_REFCOUNT_VALUE(element), 1) << GST_OBJECT_NAME(element);
  gst_object_unref(element);
}

TEST(States, TheseAreTheElements) {
  std::vector<std::string> names = elements_of_the_plugin();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"depthcolorize", "rgbdrefine", "rgbdtestsrc"}));
}

TEST(States, OfALoneElementInEverySequence) {
  for (const std::string& name : elements_of_the_plugin()) {
    GstElement* element = make(name);
    all_sequences(3, [&](GstState state) { change(element, state); });
    change(element, GST_STATE_NULL);
    expect_last_reference(element);
  }
}

TEST(States, OfALiveSourceInEverySequence) {
  GstElement* element = make("rgbdtestsrc");
  g_object_set(element, "is-live", TRUE, nullptr);
  all_sequences(3, [&](GstState state) { change(element, state); });
  change(element, GST_STATE_NULL);
  expect_last_reference(element);
}

TEST(States, BetweenNullAndReadyManyTimes) {
  for (const std::string& name : elements_of_the_plugin()) {
    for (int i = 0; i < 50; ++i) {
      GstElement* element = make(name);
      for (int times = 0; times < 4; ++times) {
        change(element, GST_STATE_READY);
        change(element, GST_STATE_NULL);
      }
      expect_last_reference(element);
    }
  }
}

TEST(States, OfManyInstancesSideBySide) {
  for (const std::string& name : elements_of_the_plugin()) {
    std::vector<GstElement*> elements;
    for (int i = 0; i < 12; ++i) elements.push_back(make(name));
    for (size_t round = 0; round < 16; ++round)
      for (size_t i = 0; i < elements.size(); ++i)
        change(elements[i], kStates[(i + round * (1 + i % 3)) % 4]);
    for (GstElement* element : elements) {
      change(element, GST_STATE_NULL);
      expect_last_reference(element);
    }
  }
}

// leaky=none: where rendering is slower than the clock, every pair would be too old to preroll with.
TEST(States, OfAPipelineInEverySequence) {
  for (const char* properties : {"", "is-live=true"}) {
    std::string text = std::string("rgbdtestsrc name=s ") + properties +
                       " s.rgb ! video/x-raw,width=32,height=32,framerate=100/1 ! queue ! r.rgb"
                       " s.depth ! video/x-raw,width=32,height=32,framerate=100/1 ! queue ! r.depth"
                       " rgbdrefine name=r leaky=none ! depthcolorize ! fakesink";
    GstElement* pipeline = parse(text.c_str());
    all_sequences(3, [&](GstState state) { change(pipeline, state); });
    change(pipeline, GST_STATE_NULL);
    expect_last_reference(pipeline);
  }
}

TEST(States, AModelThatCannotBeOpenedLeavesTheNeighboursUsable) {
  GstElement* pipeline = parse(
      "rgbdtestsrc name=s s.rgb ! queue ! r.rgb s.depth ! queue ! r.depth"
      " rgbdrefine name=r model=nowhere.pt ! depthcolorize ! fakesink");
  GstElement* refine = gst_bin_get_by_name(GST_BIN(pipeline), "r");
  for (int i = 0; i < 3; ++i) {
    change(pipeline, GST_STATE_READY);
    EXPECT_EQ(gst_element_set_state(pipeline, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    change(refine, GST_STATE_READY);
    change(pipeline, GST_STATE_NULL);
  }
  g_object_set(refine, "model", "fake:", nullptr);
  change(pipeline, GST_STATE_PLAYING);
  change(pipeline, GST_STATE_NULL);
  gst_object_unref(refine);
  expect_last_reference(pipeline);
}

TEST(States, NoModelIsLeftOpen) {
  EXPECT_TRUE(fake_rgbd::wait_until_models_open(0)) << "by the tests above";
}

}  // namespace
