// SPDX-License-Identifier: Apache-2.0
// Which memory the pads take, where no GPU is needed to tell: with a stand-in that says on which device it
// runs. Frames that really lie in CUDA memory are in cuda_memory_test.cpp.
#include "tests/gst/environment.h"
#include "tests/gst/fake_rgbd.h"
#include "tests/gst/refine_rig.h"

namespace {

using rgbd::testing::depth_frame;
using rgbd::testing::kFrame;
using rgbd::testing::kRgbCaps;
using rgbd::testing::rgb_frame;
using rgbd::testing::Rig;

constexpr char kCuda[] = "memory:CUDAMemory";
constexpr char kCudaRgbCaps[] = "video/x-raw(memory:CUDAMemory),format=RGB,width=16,height=16,framerate=30/1";
/// A stand-in that says it runs on the first GPU.
constexpr char kOnCuda[] = "model=fake:device=cuda:0";

bool is_cuda(const GstCaps* caps, guint structure) {
  return gst_caps_features_contains(gst_caps_get_features(caps, structure), kCuda);
}

bool has_cuda(const GstCaps* caps) {
  for (guint i = 0; i < gst_caps_get_size(caps); ++i)
    if (is_cuda(caps, i)) return true;
  return false;
}

class Cuda : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fake_rgbd::reset());
    GstCaps* caps = template_caps("rgb");
    bool built = has_cuda(caps);
    gst_caps_unref(caps);
    if (!built) GTEST_SKIP() << "the plugin is built without GStreamer's CUDA library";
  }

  static GstCaps* template_caps(const char* pad) {
    GstElementFactory* factory = gst_element_factory_find("rgbdrefine");
    GstElementFactory* loaded = GST_ELEMENT_FACTORY(gst_plugin_feature_load(GST_PLUGIN_FEATURE(factory)));
    gst_object_unref(factory);
    GstCaps* caps = nullptr;
    for (const GList* each = gst_element_factory_get_static_pad_templates(loaded); each; each = each->next) {
      auto* pad_template = static_cast<GstStaticPadTemplate*>(each->data);
      if (g_str_equal(pad_template->name_template, pad))
        caps = gst_static_pad_template_get_caps(pad_template);
    }
    gst_object_unref(loaded);
    return caps;
  }

  static GstCaps* query(Rig& rig, const char* pad_name, const char* filter = nullptr) {
    GstPad* pad = gst_element_get_static_pad(rig.refine(), pad_name);
    GstCaps* wanted = filter ? gst_caps_from_string(filter) : nullptr;
    GstCaps* caps = gst_pad_query_caps(pad, wanted);
    if (wanted) gst_caps_unref(wanted);
    gst_object_unref(pad);
    return caps;
  }
  static bool offers_cuda(Rig& rig) {
    GstCaps* caps = query(rig, "rgb");
    bool offered = has_cuda(caps);
    gst_caps_unref(caps);
    return offered;
  }
  static bool accepts(Rig& rig, const char* pad_name, const char* text) {
    GstPad* pad = gst_element_get_static_pad(rig.refine(), pad_name);
    GstCaps* caps = gst_caps_from_string(text);
    bool accepted = gst_pad_query_accept_caps(pad, caps);
    gst_caps_unref(caps);
    gst_object_unref(pad);
    return accepted;
  }
  static bool shares_context(Rig& rig, const char* pad_name) {
    GstPad* pad = gst_element_get_static_pad(rig.refine(), pad_name);
    GstQuery* query = gst_query_new_context("gst.cuda.context");
    bool answered = gst_pad_query(pad, query);
    gst_query_unref(query);
    gst_object_unref(pad);
    return answered;
  }
};

TEST_F(Cuda, OnlyColourAndOnlyFormatsThatGStreamersAllocatorKnows) {
  for (const char* pad : {"depth", "src"}) {
    GstCaps* caps = template_caps(pad);
    EXPECT_FALSE(has_cuda(caps)) << pad;
    gst_caps_unref(caps);
  }
  GstCaps* caps = template_caps("rgb");
  for (auto [format, known] : {std::pair{"RGB", true},
                               {"BGR", true},
                               {"RGBx", true},
                               {"BGRx", true},
                               {"RGBA", true},
                               {"BGRA", true},
                               {"ARGB", true},
                               {"ABGR", true},
                               {"NV12", true},
                               {"I420", true},
                               {"YUY2", true},
                               {"xRGB", false},
                               {"xBGR", false},
                               {"GRAY16_LE", false},
                               {"P010_10LE", false}}) {
    std::string text = std::string("video/x-raw(") + kCuda + "),format=" + format;
    GstCaps* one = gst_caps_from_string(text.c_str());
    EXPECT_EQ(gst_caps_can_intersect(caps, one), known) << format;
    gst_caps_unref(one);
  }
  gst_caps_unref(caps);
}

TEST_F(Cuda, BeforeTheModelIsLoadedThePropertyDecides) {
  for (auto [device, offered] : {std::pair{"auto", true},
                                 {"cuda", true},
                                 {"cuda:1", true},
                                 {"CUDA", true},
                                 {"cpu", false},
                                 {"CPU", false},
                                 {"mps", false}}) {
    SCOPED_TRACE(device);
    Rig rig(std::string("device=") + device);
    EXPECT_EQ(offers_cuda(rig), offered);
    ASSERT_TRUE(rig.set_state(GST_STATE_READY));
    EXPECT_EQ(offers_cuda(rig), offered);
  }
}

TEST_F(Cuda, AModelOnTheCpuTakesNoFramesInCudaMemory) {
  Rig rig;
  rig.set_rgb_caps(kCudaRgbCaps);
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  ASSERT_TRUE(fake_rgbd::wait_until_models_open(1));
  EXPECT_FALSE(offers_cuda(rig));
  EXPECT_FALSE(accepts(rig, "rgb", kCudaRgbCaps));
  EXPECT_TRUE(accepts(rig, "rgb", kRgbCaps));
  rig.push_pair(0);
  EXPECT_NE(rig.error_text(), "") << "of the source, which could not negotiate";
  EXPECT_EQ(rig.stat("rgb-in"), 0u);
  // Stopped, it may become a model on CUDA again.
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  EXPECT_TRUE(offers_cuda(rig));
}

TEST_F(Cuda, AModelOnCudaTakesBothAndNamesCudaMemoryFirst) {
  Rig rig(kOnCuda);
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  EXPECT_TRUE(accepts(rig, "rgb", kCudaRgbCaps));
  EXPECT_TRUE(accepts(rig, "rgb", kRgbCaps));
  EXPECT_FALSE(
      accepts(rig, "rgb", "video/x-raw(memory:CUDAMemory),format=xRGB,width=16,height=16,framerate=30/1"));
  EXPECT_FALSE(accepts(rig, "depth",
                       "video/x-raw(memory:CUDAMemory),format=GRAY16_LE,width=16,height=16,framerate=30/1"));
  // cudaupload asks so: with what it gets, then with what it can make of it.
  GstCaps* caps = query(rig, "rgb", "video/x-raw,format=RGB;video/x-raw(memory:CUDAMemory),format=RGB");
  ASSERT_EQ(gst_caps_get_size(caps), 2u);
  EXPECT_TRUE(is_cuda(caps, 0));
  EXPECT_FALSE(is_cuda(caps, 1));
  gst_caps_unref(caps);
}

TEST_F(Cuda, TheRateThatDownstreamWantsIsWantedOfBoth) {
  Rig rig(kOnCuda, "capsfilter caps=video/x-raw,framerate=15/1");
  ASSERT_TRUE(rig.set_state(GST_STATE_PAUSED));
  GstCaps* caps = query(rig, "rgb");
  ASSERT_EQ(gst_caps_get_size(caps), 2u);
  for (guint i = 0; i < 2; ++i) {
    int numerator = 0, denominator = 0;
    EXPECT_TRUE(
        gst_structure_get_fraction(gst_caps_get_structure(caps, i), "framerate", &numerator, &denominator));
    EXPECT_EQ(numerator, 15);
  }
  gst_caps_unref(caps);
}

TEST_F(Cuda, SystemMemoryUnderCapsOfCudaMemoryIsPassedOver) {
  Rig rig(kOnCuda);
  ASSERT_TRUE(rig.play());
  rig.push_pair(0);
  auto first = rig.pull();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->rgb_number, 0);
  rig.set_rgb_caps(kCudaRgbCaps);
  rig.push_pair(1);
  GstBuffer* empty = rgb_frame(2, 2 * kFrame);
  gst_buffer_remove_all_memory(empty);
  rig.push_rgb(empty);
  rig.push_depth(depth_frame(2, 2 * kFrame));
  rig.set_rgb_caps(kRgbCaps);
  rig.push_pair(3);
  auto last = rig.pull();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->rgb_number, 3);
  EXPECT_EQ(rig.stat("dropped-bad"), 2u);
  std::string text = rig.warning_text();
  EXPECT_NE(text.find("CUDA memory"), std::string::npos) << text;
}

TEST_F(Cuda, WithoutADriverThereIsNoContextToShareAndNothingBreaks) {
  if (GstElementFactory* upload = gst_element_factory_find("cudaupload")) {
    gst_object_unref(upload);
    GTEST_SKIP() << "there is a driver";
  }
  Rig rig(kOnCuda);
  ASSERT_TRUE(rig.set_state(GST_STATE_READY));
  for (const char* pad : {"rgb", "depth", "src"}) EXPECT_FALSE(shares_context(rig, pad)) << pad;
  ASSERT_TRUE(rig.play());
  for (const char* pad : {"rgb", "depth", "src"}) EXPECT_FALSE(shares_context(rig, pad)) << pad;
  EXPECT_EQ(rig.count_now(GST_MESSAGE_HAVE_CONTEXT), 0);
  rig.push_pair(0);
  EXPECT_TRUE(rig.pull());
}

}  // namespace
