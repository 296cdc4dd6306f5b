// SPDX-License-Identifier: Apache-2.0
// The Camera Depth Model on seeded weights: sampled outputs of the published program, shortcuts against plain
// forms, files that are not what they should be.
#include "core/network.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "core/cdm/cdm.h"
#include "core/log.h"
#include "tests/core/seeded_network.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/seeded.h"

namespace rgbd {
namespace {

// float32 differs from double by up to 1.1e-5 in the published program itself.
constexpr double kTolerance = 1e-4;

double worst(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return at::abs(a.to(at::kDouble) - b.to(at::kDouble)).max().item<double>();
}

NetworkOptions options(bool optimize, bool generic_ops = false, Precision precision = Precision::kFp32) {
  NetworkOptions out;
  out.optimize = optimize;
  out.generic_ops = generic_ops;
  out.precision = precision;
  return out;
}

std::string message(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadCheckpoint);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

void expect_samples(const std::string& encoder, const NetworkOptions& options) {
  c10::InferenceMode guard;
  const auto network = load_network(test::seeded_checkpoint(encoder), options);
  EXPECT_EQ(network->architecture(), "cdm");
  EXPECT_EQ(network->encoder(), encoder);
  int sizes = 0;
  for (const auto& row : test::read_samples(NETWORK_SAMPLES)) {
    if (row.encoder != encoder) continue;
    const auto y = network->forward(test::seeded_input(row.height, row.width).unsqueeze(0));
    ASSERT_EQ(y.sizes(), (std::vector<int64_t>{1, row.height, row.width}));
    const auto values = test::samples(y[0]);
    double error = 0;
    for (size_t i = 0; i < values.size(); ++i)
      error = std::max(error, std::abs(static_cast<double>(values[i]) - row.values[i]));
    EXPECT_LT(error, kTolerance) << row.height << "x" << row.width;
    ++sizes;
  }
  EXPECT_GT(sizes, 0) << "no samples of " << encoder;
}

TEST(Samples, VitsPlain) {
  expect_samples("vits", options(false));
}
TEST(Samples, VitsOptimised) {
  expect_samples("vits", options(true));
}
TEST(Samples, VitsGenericDevice) {
  expect_samples("vits", options(true, true));
}
TEST(Samples, VitbPlain) {
  expect_samples("vitb", options(false));
}
TEST(Samples, VitbOptimised) {
  expect_samples("vitb", options(true));
}
// Long: 2.6 GB and 9.7 GB of weights, one at a time.
TEST(LargeSamples, VitlPlain) {
  expect_samples("vitl", options(false));
}
TEST(LargeSamples, VitlOptimised) {
  expect_samples("vitl", options(true));
}
TEST(LargeSamples, VitgPlain) {
  expect_samples("vitg", options(false));
}
TEST(LargeSamples, VitgOptimised) {
  expect_samples("vitg", options(true));
}

/// The tiny network: 4 blocks of 64 channels, made once.
class Tiny : public testing::Test {
 protected:
  static void SetUpTestSuite() { checkpoint_ = new Checkpoint(test::seeded_checkpoint("tiny")); }
  static void TearDownTestSuite() { delete checkpoint_; }
  static std::unique_ptr<Network> load(const NetworkOptions& options) {
    return load_network(*checkpoint_, options);
  }
  static at::Tensor input(int64_t height, int64_t width, uint64_t seed = 0) {
    return test::seeded_input(height, width, seed).unsqueeze(0);
  }

  static Checkpoint* checkpoint_;
  c10::InferenceMode guard_;
};
Checkpoint* Tiny::checkpoint_ = nullptr;

TEST_F(Tiny, OptimisedEqualsPlain) {
  const auto plain = load(options(false)), optimised = load(options(true)),
             generic = load(options(true, true));
  for (const auto& [height, width] : {std::pair{14, 14}, {42, 70}, {126, 56}}) {
    const auto x = input(height, width);
    const auto y = plain->forward(x);
    EXPECT_GT(y.max().item<float>(), 0);
    EXPECT_LT(worst(optimised->forward(x), y), 1e-5) << height << "x" << width;
    EXPECT_LT(worst(generic->forward(x), y), 1e-5) << height << "x" << width;
  }
}

TEST_F(Tiny, BatchEqualsSingles) {
  for (const bool optimize : {false, true}) {
    const auto network = load(options(optimize));
    const auto a = input(56, 42, 1), b = input(56, 42, 2);
    const auto both = network->forward(at::cat({a, b}));
    EXPECT_GT(worst(both[0], both[1]), 0.01);  // two different answers
    EXPECT_LT(worst(both[0], network->forward(a)[0]), 1e-5);
    EXPECT_LT(worst(both[1], network->forward(b)[0]), 1e-5);
  }
}

TEST_F(Tiny, RepeatsItselfBitForBit) {
  for (const bool optimize : {false, true}) {
    const auto network = load(options(optimize));
    const auto x = input(70, 98);
    const auto first = network->forward(x);
    network->forward(input(98, 70));  // another size in between fills the caches
    EXPECT_TRUE(first.equal(network->forward(x)));
  }
}

TEST_F(Tiny, LeavesItsInputAlone) {
  const auto x = input(42, 42), before = x.clone();
  for (const bool optimize : {false, true}) load(options(optimize))->forward(x);
  EXPECT_TRUE(x.equal(before));
}

TEST_F(Tiny, HalfPrecisionsStayNear) {
  const auto x = input(56, 70);
  const auto y = load(options(false))->forward(x);
  for (const auto& [precision, tolerance] : {std::pair{Precision::kFp16, 0.02}, {Precision::kBf16, 0.12}}) {
    const auto half = load(options(true, true, precision))->forward(x);
    EXPECT_EQ(half.scalar_type(), at::kFloat);
    EXPECT_LT(worst(half, y), tolerance);
    EXPECT_GT(worst(half, y), 0);
  }
}

TEST_F(Tiny, RefusesOtherSizes) {
  const auto network = load(options(true));
  EXPECT_THROW(network->forward(test::seeded_input(42, 43).unsqueeze(0)), Error);
  EXPECT_THROW(network->forward(input(42, 42).slice(1, 0, 3)), Error);
}

TEST_F(Tiny, EncoderShortcuts) {
  const cdm::Weights weights(*checkpoint_);
  const Backend plain(options(false)), fast(options(true));
  const auto x = input(56, 98);
  for (const bool depth : {false, true}) {
    const auto* prefix = depth ? "depth_pretrained" : "pretrained";
    cdm::Encoder a(weights, prefix, depth, plain), b(weights, prefix, depth, fast);
    const auto image = depth ? x.slice(1, 3, 4) : x.slice(1, 0, 3);
    const auto expected = a(image), taps = b(image), again = b(image);  // the second time from the cache
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(taps[i].sizes(), (std::vector<int64_t>{1, 4 * 7, 64}));
      EXPECT_LT(worst(taps[i], expected[i]), 1e-5) << prefix << " tap " << i;
      EXPECT_TRUE(again[i].equal(taps[i]));
    }
  }
}

TEST_F(Tiny, PositionEmbeddingIsUsedAsItIsOnItsOwnGrid) {
  const cdm::Weights weights(*checkpoint_);
  const cdm::Encoder encoder(weights, "pretrained", false, Backend(options(true)));
  EXPECT_TRUE(encoder.position_embedding(37, 37).equal(weights.get("pretrained.pos_embed")));
  // 37 x 37 patches' worth in another shape is resized.
  EXPECT_GT(worst(encoder.position_embedding(1, 37 * 37), weights.get("pretrained.pos_embed")), 0.01);
}

TEST_F(Tiny, FusionClosedForm) {
  const cdm::Weights weights(*checkpoint_);
  const auto tokens = test::uniform("tokens", 2 * 2 * 30 * 64);
  const auto both = at::tensor(tokens).view({2, 2, 30, 64}) * 3.0;
  for (int tap = 0; tap < 4; ++tap) {
    const cdm::Fusion plain(weights, tap, Backend(options(false))),
        closed(weights, tap, Backend(options(true)));
    EXPECT_LT(worst(closed(both[0], both[1]), plain(both[0], both[1])), 2e-5) << tap;
  }
}

TEST_F(Tiny, HeadShortcuts) {
  const cdm::Weights weights(*checkpoint_);
  const cdm::Head plain(weights, Backend(options(false))), fast(weights, Backend(options(true)));
  std::array<at::Tensor, 4> projected;
  for (int i = 0; i < 4; ++i) {
    const auto channels = weights.variant().out_channels[i];
    projected[i] =
        at::tensor(test::uniform("projected", static_cast<size_t>(15 * channels))).view({1, 15, channels});
  }
  const auto expected = plain(projected, 3, 5);
  EXPECT_EQ(expected.sizes(), (std::vector<int64_t>{1, 42, 70}));
  EXPECT_LT(worst(fast(projected, 3, 5), expected), 1e-5);
}

TEST_F(Tiny, CountsItsParameters) {
  uint64_t all = 0, unused = 0;
  for (const auto& tensor : test::seeded_shapes("tiny")) {
    const auto count = static_cast<uint64_t>(test::element_count(tensor.shape));
    all += count;
    if (tensor.key.find("mask_token") != std::string::npos ||
        tensor.key.find("refinenet4.resConfUnit1") != std::string::npos)
      unused += count;
  }
  EXPECT_GT(unused, 0u);
  EXPECT_EQ(load(options(true))->parameters(), all - unused);
}

/// A tiny checkpoint with some tensors changed; returns what loading it throws.
class WrongFile : public testing::Test {
 protected:
  using Change = std::function<void(std::vector<test::Shaped>&)>;

  Checkpoint changed(const Change& change, const std::map<std::string, std::string>& metadata = {}) {
    auto shapes = test::seeded_shapes("tiny");
    change(shapes);
    std::vector<test::FileTensor> tensors;
    for (const auto& [key, shape] : shapes)
      tensors.push_back(
          {key, "F32", shape, [key, shape] { return test::bytes_of(test::seeded_value(key, shape)); }});
    const auto path = std::filesystem::temp_directory_path() / ("rgbd-wrong-" + std::to_string(getpid()));
    test::write_safetensors(path, tensors, metadata);
    auto checkpoint = Checkpoint::open(path);
    std::filesystem::remove(path);
    return checkpoint;
  }
  std::string refusal(const Change& change, const std::map<std::string, std::string>& metadata = {}) {
    const auto checkpoint = changed(change, metadata);
    return message([&] { load_network(checkpoint, options(true)); });
  }
  static void erase(std::vector<test::Shaped>& shapes, const std::string& part) {
    std::erase_if(shapes, [&](const auto& tensor) { return tensor.key.find(part) != std::string::npos; });
  }
  c10::InferenceMode guard_;
};

TEST_F(WrongFile, MissingTensorsAreNamedAndCounted) {
  const auto text = refusal([](auto& shapes) { erase(shapes, "crossAtts."); });
  EXPECT_NE(text.find("16 of"), std::string::npos) << text;
  EXPECT_NE(text.find("crossAtts.0.in_proj_weight"), std::string::npos) << text;
  EXPECT_NE(text.find("rgbd-wrong-"), std::string::npos) << text;
}

TEST_F(WrongFile, PartOfTheNetworkAlone) {
  const auto text =
      refusal([](auto& shapes) { erase(shapes, "depth_"); });  // colour encoder and fusion alone
  EXPECT_NE(text.find("depth_pretrained.cls_token"), std::string::npos) << text;
}

TEST_F(WrongFile, WrongShapeIsNamed) {
  const auto text = refusal([](auto& shapes) {
    for (auto& tensor : shapes)
      if (tensor.key == "pretrained.blocks.1.attn.qkv.weight") tensor.shape = {190, 64};
  });
  EXPECT_NE(text.find("pretrained.blocks.1.attn.qkv.weight is [190, 64], not [192, 64]"), std::string::npos)
      << text;
}

TEST_F(WrongFile, SizesOutsideTheFamilyAreNamed) {
  struct {
    const char* key;
    std::vector<int64_t> shape;
    const char* says;
  } wrong[] = {
      {"depth_head_rgbd.scratch.output_conv1.weight", {1, 5000, 1, 1}, "features of the head of 5000"},
      {"depth_head_rgbd.scratch.output_conv1.weight", {1, 33, 1, 1}, "an odd number of features"},
      {"depth_head_rgbd.projects.2.weight", {9000, 1, 1, 1}, "projections of 9000"},
      {"pretrained.pos_embed", {1, 1, 64}, "position embeddings of 0"},
      {"pretrained.blocks.0.mlp.fc1.weight", {2000, 1}, "hidden channels of 2000"}};
  for (const auto& [key, shape, says] : wrong) {
    const auto text = refusal([&, k = std::string(key), s = shape](auto& shapes) {
      for (auto& tensor : shapes)
        if (tensor.key == k) tensor.shape = s;
    });
    EXPECT_NE(text.find(says), std::string::npos) << text;
  }
}

TEST_F(WrongFile, UnknownDepth) {
  const auto text = refusal([](auto& shapes) { erase(shapes, "blocks.3."); });
  EXPECT_NE(text.find("64 wide with 3 blocks"), std::string::npos) << text;
}

TEST_F(WrongFile, AnotherNetwork) {
  const auto text = refusal([](auto& shapes) { shapes = {{"layer1.0.conv1.weight", {8, 3, 3, 3}}}; });
  EXPECT_NE(text.find("pretrained.cls_token"), std::string::npos) << text;
  EXPECT_NE(text.find("layer1.0.conv1.weight"), std::string::npos) << text;
}

TEST_F(WrongFile, UnknownArchitectureInTheMetadata) {
  const auto text = refusal([](auto&) {}, {{"rgbd.architecture", "other"}});
  EXPECT_NE(text.find("'other'"), std::string::npos) << text;
}

TEST_F(WrongFile, UnusedTensorsAreOneLogLine) {
  const auto checkpoint = changed([](auto& shapes) { shapes.push_back({"depth_head.scratch.x", {2}}); });
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, const std::string& text) { lines.push_back(text); });
  load_network(checkpoint, options(true));
  set_log_sink({});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("7 tensors are not used"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("depth_head.scratch.x"), std::string::npos) << lines[0];
}

}  // namespace
}  // namespace rgbd
