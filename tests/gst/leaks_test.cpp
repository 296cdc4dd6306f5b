// SPDX-License-Identifier: Apache-2.0
// The search for leaks that every test of the elements ends with: it runs, and it finds something.
#include "tests/gst/leaks.h"

#include <gtest/gtest-spi.h>

#include <chrono>

#include "tests/gst/environment.h"

namespace {

using rgbd::testing::LeakListener;

/// The listener at the end of a test that leaves `leaked` behind.
void end_test() {
  LeakListener(std::chrono::milliseconds(1))
      .OnTestEnd(*::testing::UnitTest::GetInstance()->current_test_info());
}

TEST(Leaks, AreLookedFor) {
  GObject* tracer = rgbd::testing::leaks_tracer();
  ASSERT_TRUE(tracer) << "these tests need the environment GST_TRACERS=leaks";
  EXPECT_EQ(rgbd::testing::live_objects(tracer), 0u);
  g_object_unref(tracer);
}

TEST(Leaks, OfABufferFailTheTest) {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, 16, nullptr);
  EXPECT_NONFATAL_FAILURE(end_test(), "GstBuffer");
  gst_buffer_unref(buffer);
  end_test();
}

TEST(Leaks, OfAnElementFailTheTest) {
  for (const char* name : {"rgbdrefine", "rgbdtestsrc", "depthcolorize", "fakesink"}) {
    GstElement* element = GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make(name, "forgotten")));
    EXPECT_NONFATAL_FAILURE(end_test(), "forgotten");
    gst_object_unref(element);
    end_test();
  }
}

TEST(Leaks, OfAPadFailTheTest) {
  GstElement* element = GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("rgbdrefine", nullptr)));
  GstPad* pad = gst_element_get_static_pad(element, "depth");
  gst_object_unref(element);
  EXPECT_NONFATAL_FAILURE(end_test(), "GstAggregatorPad depth");
  gst_object_unref(pad);
}

TEST(Leaks, AreSaidOnce) {
  GstCaps* caps = gst_caps_new_any();
  LeakListener listener(std::chrono::milliseconds(1));
  const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
  EXPECT_NONFATAL_FAILURE(listener.OnTestEnd(test), "GstCaps");
  listener.OnTestEnd(test);
  gst_caps_unref(caps);
}

}  // namespace
