// SPDX-License-Identifier: Apache-2.0
// Furnishes the room of rgbdtestsrc and moves what moves. Angles are in turns.
#include "gst/testsrc/scene.h"

#include <algorithm>

namespace rgbd {
namespace {

constexpr float kRoomWidth = 4.2f, kRoomHeight = 2.7f, kRoomDepth = 5.6f;
constexpr double kSecondsPerFrame = 1.0 / 30;

/// Albedo of an sRGB colour, its gamma taken as 2.
Vec3 srgb(uint32_t rgb) {
  auto channel = [&](int shift) {
    const float value = static_cast<float>(rgb >> shift & 255) / 255;
    return value * value;
  };
  return {channel(16), channel(8), channel(0)};
}

Vec3 mix(Vec3 a, Vec3 b, float share) {
  return a * (1 - share) + b * share;
}

Object make(Shape shape, Vec3 center, Vec3 half, double yaw, const Material& material) {
  const float c = static_cast<float>(cosine(yaw)), s = static_cast<float>(sine(yaw));
  return {shape, center, {Vec3{c, 0, -s} * half.x, Vec3{0, half.y, 0}, Vec3{s, 0, c} * half.z}, material};
}

/// A cylinder from a to b.
Object rod(Vec3 a, Vec3 b, float radius, const Material& material) {
  const Vec3 axis = (b - a) * 0.5f;
  const Vec3 helper = std::abs(axis.y) > std::abs(axis.x) ? Vec3{1, 0, 0} : Vec3{0, 1, 0};
  const Vec3 side = normalized(cross(axis, helper));
  return {Shape::kCylinder,
          (a + b) * 0.5f,
          {side * radius, axis, normalized(cross(side, axis)) * radius},
          material};
}

/// A flat leaf that points along `direction`.
Object leaf(Vec3 center, Vec3 direction, float length, float width, const Material& material) {
  const Vec3 along = normalized(direction), across = normalized(cross(along, Vec3{0, 1, 0}));
  return {Shape::kEllipsoid,
          center,
          {along * length, cross(across, along) * (width * 0.16f), across * width},
          material};
}

struct Palette {
  uint32_t wall, floor, rug, sofa, accents[4];
};
constexpr Palette kPalettes[] = {
    {0xd9d2c3, 0xa97c50, 0x39596b, 0x5f7f86, {0xd9793b, 0xe8b34b, 0x4f8a8b, 0xb8473d}},
    {0xc9d3cf, 0x9a6f47, 0x8a4b3c, 0x8c7a9c, {0xe2a03f, 0x5b8e7d, 0xbc4b51, 0x3d6a9e}},
    {0xdccbbd, 0x86603f, 0x5d6b4a, 0xb9805a, {0x2f6690, 0xe3b23c, 0x81a684, 0xc8553d}},
    {0xcdd5dc, 0xb48a5c, 0x6a4c5f, 0x4d6f8f, {0xf0a35e, 0x6a994e, 0xd1495b, 0x3a7d7c}},
};

}  // namespace

Camera look(Vec3 from, Vec3 at) {
  const Vec3 forward = normalized(at - from);
  const Vec3 right = normalized(cross(Vec3{0, 1, 0}, forward));
  return {from, right, cross(forward, right), forward};
}

Scene::Scene(uint32_t seed) {
  Random random(hash(seed, 0x5ce9e));
  const Palette& palette = kPalettes[seed % std::size(kPalettes)];
  side_ = seed / std::size(kPalettes) % 2 ? -1.0f : 1.0f;
  for (double& phase : phase_) phase = random.uniform(0, 1);
  for (int i = 0; i < 4; ++i) accents_[i] = srgb(palette.accents[i]);

  Room& room = still_.room;
  room.center = {0, kRoomHeight / 2, kRoomDepth / 2};
  room.half = {kRoomWidth / 2, kRoomHeight / 2, kRoomDepth / 2};
  const Vec3 wall = srgb(palette.wall), white = srgb(0xf2efe8);
  for (Material& face : room.faces) face = {Texture::kPlaster, wall, white};
  room.faces[side_ > 0 ? 0 : 1].texture = Texture::kWindow;
  room.faces[2] = {Texture::kPlanks, srgb(palette.floor), srgb(palette.rug), 0.12f};
  room.faces[3] = {Texture::kPlain, white, white};
  room.faces[5].color = mix(wall, srgb(palette.sofa), 0.35f);
  still_.light = {0.25f * side_, kRoomHeight - 0.12f, 2.3f};
  furnish(random);
  add_shelf(random);
  for (Object& object : still_.objects) {  // the other half of the seeds has the room mirrored
    object.center.x *= side_;
    for (Vec3& axis : object.axis) axis.x *= side_;
  }
}

void Scene::furnish(Random& random) {
  add_table(random);
  add_sofa(random);
  add_plant(random);
  add_chair(random);
  add_lamp_and_walls(random);
}

void Scene::add_table(Random& random) {
  auto& objects = still_.objects;
  const Material wood{Texture::kWood, srgb(0x9c6b3f), srgb(0x6d4526), 0.25f};
  const float x = 0.32f, z = 2.35f + static_cast<float>(random.uniform(-0.1, 0.1)), top = 0.72f;
  objects.push_back(make(Shape::kBox, {x, top - 0.02f, z}, {0.62f, 0.02f, 0.38f}, 0, wood));
  for (float sx : {-0.55f, 0.55f})
    for (float sz : {-0.31f, 0.31f})
      objects.push_back(rod({x + sx, 0, z + sz}, {x + sx * 0.96f, top - 0.04f, z + sz * 0.94f}, 0.02f, wood));

  float y = top;
  for (int i = 0; i < 3; ++i) {  // a pile of books
    const float thick = static_cast<float>(random.uniform(0.012, 0.022));
    const Material book{Texture::kBook, accents_[(i + 1) % 4], srgb(0xf0e9d8)};
    objects.push_back(make(Shape::kBox, {x - 0.36f, y + thick, z - 0.05f}, {0.11f, thick, 0.08f},
                           random.uniform(-0.08, 0.08), book));
    y += 2 * thick;
  }
  const Material glaze{Texture::kStripes, srgb(0xe9e4d6), accents_[2], 0.6f};
  objects.push_back(
      make(Shape::kEllipsoid, {x + 0.3f, top + 0.115f, z + 0.1f}, {0.085f, 0.115f, 0.085f}, 0, glaze));
  objects.push_back(rod({x + 0.3f, top + 0.2f, z + 0.1f}, {x + 0.3f, top + 0.27f, z + 0.1f}, 0.032f, glaze));
  const Material mug{Texture::kPlain, accents_[3], accents_[3], 0.5f};
  objects.push_back(
      make(Shape::kCylinder, {x - 0.08f, top + 0.05f, z - 0.18f}, {0.04f, 0.05f, 0.04f}, 0, mug));
  const Material apple{Texture::kPlain, srgb(0xb3372b), srgb(0xb3372b), 0.5f};
  for (int i = 0; i < 2; ++i)
    objects.push_back(make(Shape::kEllipsoid,
                           {x + 0.06f + 0.09f * static_cast<float>(i), top + 0.036f, z + 0.14f},
                           {0.038f, 0.036f, 0.038f}, 0, apple));
}

void Scene::add_sofa(Random& random) {
  auto& objects = still_.objects;
  const Vec3 color = srgb(kPalettes[0].sofa);
  const Material fabric{Texture::kFabric, mix(color, accents_[2], 0.5f), color};
  const float x = -1.58f, z = 3.7f;
  objects.push_back(make(Shape::kBox, {x, 0.21f, z}, {0.44f, 0.13f, 0.85f}, 0, fabric));
  for (float s : {-0.41f, 0.41f})
    objects.push_back(make(Shape::kBox, {x + 0.06f, 0.39f, z + s}, {0.39f, 0.06f, 0.4f}, 0, fabric));
  objects.push_back(make(Shape::kBox, {x - 0.37f, 0.5f, z}, {0.11f, 0.36f, 0.85f}, 0, fabric));
  for (float s : {-0.93f, 0.93f})
    objects.push_back(make(Shape::kBox, {x, 0.34f, z + s}, {0.44f, 0.26f, 0.09f}, 0, fabric));
  for (int i = 0; i < 2; ++i) {
    const Material cushion{i ? Texture::kStripes : Texture::kFabric, accents_[i], srgb(0xeee4d0)};
    const float s = i ? 0.55f : -0.55f;
    objects.push_back(make(Shape::kEllipsoid, {x - 0.15f, 0.63f, z + s}, {0.09f, 0.19f, 0.21f},
                           random.uniform(-0.06, 0.06), cushion));
  }
}

/// Book shelf at the far wall.
void Scene::add_shelf(Random& random) {
  auto& objects = still_.objects;
  const Material wood{Texture::kWood, srgb(0xc9a978), srgb(0x9f7c4c), 0.1f};
  const float x = 1.1f, z = 5.42f, half_width = 0.62f, height = 1.9f;
  for (float s : {-half_width, half_width})
    objects.push_back(make(Shape::kBox, {x + s, height / 2, z}, {0.018f, height / 2, 0.16f}, 0, wood));
  constexpr int kBoards = 5;
  for (int board = 0; board < kBoards; ++board) {
    const float y = 0.08f + static_cast<float>(board) * 0.455f;
    objects.push_back(make(Shape::kBox, {x, y, z}, {half_width, 0.016f, 0.16f}, 0, wood));
    if (board == kBoards - 1) break;
    float left = x - half_width + 0.05f;
    const float end = x + static_cast<float>(random.uniform(0.1, 0.5));
    while (left < end) {
      const float thick = static_cast<float>(random.uniform(0.016, 0.042));
      const float tall = static_cast<float>(random.uniform(0.11, 0.185));
      const Material book{Texture::kBook, mix(accents_[random.below(4)], srgb(0xd8cdb8), 0.35f),
                          srgb(0xe8dcc0)};
      objects.push_back(
          make(Shape::kBox, {left + thick, y + 0.016f + tall, z - 0.03f}, {thick, tall, 0.11f}, 0, book));
      left += 2 * thick + 0.004f;
    }
    if (board == 1 || board == 2) {
      const Material globe{Texture::kOctants, accents_[board], srgb(0xe8e0cc), 0.5f};
      objects.push_back(
          make(Shape::kEllipsoid, {x + 0.48f, y + 0.116f, z - 0.02f}, {0.1f, 0.1f, 0.1f}, 0.1, globe));
    }
  }
}

/// A plant in a pot, near the camera: thin stems, small leaves.
void Scene::add_plant(Random& random) {
  auto& objects = still_.objects;
  const float x = 1.35f, z = 2.0f;
  const Material clay{Texture::kPlain, srgb(0xb5653f), srgb(0xb5653f), 0.1f};
  objects.push_back(make(Shape::kCylinder, {x, 0.17f, z}, {0.16f, 0.17f, 0.16f}, 0, clay));
  objects.push_back(make(Shape::kCylinder, {x, 0.34f, z}, {0.18f, 0.025f, 0.18f}, 0, clay));
  for (int i = 0; i < 9; ++i) {
    const double turn = (i + random.uniform(0, 0.6)) / 9.0;
    const Vec3 out{static_cast<float>(cosine(turn)), 0, static_cast<float>(sine(turn))};
    const float lean = static_cast<float>(random.uniform(0.1, 0.34));
    const float tall = static_cast<float>(random.uniform(0.45, 0.95));
    const Vec3 foot = Vec3{x, 0.34f, z} + out * 0.05f, tip = foot + out * lean + Vec3{0, tall, 0};
    const Material green{Texture::kPlain,
                         mix(srgb(0x4d7c3a), srgb(0x86a84f), static_cast<float>(random.uniform(0, 1))),
                         srgb(0x2d5a2a), 0.2f};
    objects.push_back(rod(foot, tip, 0.006f, green));
    objects.push_back(leaf(tip, out + Vec3{0, 0.35f, 0}, 0.12f, 0.05f, green));
    objects.push_back(leaf(mix(foot, tip, 0.62f) + out * 0.06f, out + Vec3{0, 0.2f, 0}, 0.1f, 0.042f, green));
  }
}

void Scene::add_chair(Random& random) {
  auto& objects = still_.objects;
  const Material paint{Texture::kPlain, mix(accents_[1], srgb(0xf0e8d8), 0.25f), accents_[1], 0.2f};
  const double yaw = random.uniform(-0.12, 0.02);
  const float c = static_cast<float>(cosine(yaw)), s = static_cast<float>(sine(yaw));
  auto place = [&](float along, float y, float across) {
    return Vec3{-0.72f + c * along + s * across, y, 2.35f - s * along + c * across};
  };
  objects.push_back(make(Shape::kBox, place(0, 0.45f, 0), {0.2f, 0.018f, 0.2f}, yaw, paint));
  for (float a : {-0.17f, 0.17f})
    for (float b : {-0.17f, 0.17f})
      objects.push_back(
          rod(place(a * 1.15f, 0, b * 1.15f), place(a, a < 0 ? 0.95f : 0.44f, b), 0.015f, paint));
  for (float b : {-0.085f, 0.0f, 0.085f})
    objects.push_back(rod(place(-0.175f, 0.46f, b), place(-0.172f, 0.9f, b), 0.008f, paint));
  objects.push_back(rod(place(-0.17f, 0.93f, -0.19f), place(-0.17f, 0.93f, 0.19f), 0.018f, paint));
}

/// Floor lamp, pictures, a door, a broom and boxes.
void Scene::add_lamp_and_walls(Random& random) {
  auto& objects = still_.objects;
  const Material metal{Texture::kPlain, srgb(0x3b3a3c), srgb(0x3b3a3c), 0.5f};
  const Vec3 lamp{-1.45f, 0, 5.1f};
  objects.push_back(rod(lamp, lamp + Vec3{0, 0.03f, 0}, 0.14f, metal));
  objects.push_back(rod(lamp, lamp + Vec3{0, 1.5f, 0}, 0.012f, metal));
  objects.push_back(rod(lamp + Vec3{0, 1.42f, 0}, lamp + Vec3{0, 1.68f, 0}, 0.17f,
                        {Texture::kPlain, srgb(0xf6dca6), srgb(0xf6dca6), 0, 0.9f}));

  const Material picture{Texture::kPainting, accents_[1], accents_[2], 0.1f};
  objects.push_back(make(Shape::kBox, {-0.45f, 1.62f, 5.585f}, {0.42f, 0.29f, 0.015f}, 0, picture));
  const Material small{Texture::kPainting, accents_[0], accents_[3], 0.1f};
  objects.push_back(make(Shape::kBox, {0.25f, 1.72f, 5.585f}, {0.15f, 0.2f, 0.015f}, 0, small));

  const Material door{Texture::kWood, srgb(0xd9cdb6), srgb(0xc4b496), 0.1f};
  objects.push_back(make(Shape::kBox, {2.085f, 1.02f, 3.9f}, {0.02f, 1.02f, 0.43f}, 0, door));
  const Material stick{Texture::kWood, srgb(0xc89a5b), srgb(0xa67b43), 0.1f};
  objects.push_back(rod({1.72f, 0.05f, 4.75f}, {2.06f, 1.45f, 4.83f}, 0.013f, stick));
  objects.push_back(make(Shape::kBox, {1.71f, 0.05f, 4.75f}, {0.06f, 0.05f, 0.14f}, 0,
                         {Texture::kFabric, accents_[3], accents_[0]}));

  const Material card{Texture::kPlain, srgb(0xb98d5a), srgb(0x8d6638)};
  objects.push_back(
      make(Shape::kBox, {1.72f, 0.2f, 3.2f}, {0.24f, 0.2f, 0.2f}, random.uniform(-0.06, 0.06), card));
  objects.push_back(
      make(Shape::kBox, {1.74f, 0.52f, 3.18f}, {0.16f, 0.12f, 0.15f}, random.uniform(-0.1, 0.1), card));
}

/// Ball, robot vacuum cleaner, hanging lamp and a turning cube.
void Scene::add_moving(double seconds, std::vector<Object>& objects) const {
  auto wave = [&](int phase, double period) {
    return static_cast<float>(sine(seconds / period + phase_[phase]));
  };

  const double hop = seconds / 0.9 + phase_[0], rise = hop - std::floor(hop);
  const float radius = 0.14f;
  const Vec3 ball{-0.25f + 0.62f * wave(1, 7), radius + static_cast<float>(1.4 * rise * (1 - rise)),
                  3.25f + 0.3f * wave(2, 5.3)};
  const double roll = seconds / 1.7 + phase_[2];
  const float c = static_cast<float>(cosine(roll)), s = static_cast<float>(sine(roll));
  objects.push_back({Shape::kEllipsoid,
                     ball,
                     {Vec3{c, s, 0} * radius, Vec3{-s, c, 0} * radius, Vec3{0, 0, radius}},
                     {Texture::kOctants, accents_[3], srgb(0xf3ead6), 0.4f}});

  const Vec3 robot{-0.35f + 0.75f * wave(3, 11), 0.045f,
                   1.95f + 0.22f * static_cast<float>(cosine(seconds / 11 + phase_[3]))};
  objects.push_back(
      make(Shape::kCylinder, robot, {0.17f, 0.035f, 0.17f}, 0, {Texture::kPlain, srgb(0x44464c), {}, 0.5f}));
  objects.push_back(make(Shape::kCylinder, robot + Vec3{0, 0.045f, 0}, {0.06f, 0.012f, 0.06f}, 0,
                         {Texture::kPlain, accents_[0], {}, 0.4f}));

  const float swing = 0.16f * wave(4, 2.1);
  const Vec3 hook{-0.35f, kRoomHeight, 3.3f}, bulb = hook + normalized(Vec3{swing, -1, 0.3f * swing}) * 0.72f;
  objects.push_back(rod(hook, bulb, 0.007f, {Texture::kPlain, srgb(0x303030), {}, 0}));
  objects.push_back(make(Shape::kEllipsoid, bulb, {0.15f, 0.11f, 0.15f}, 0,
                         {Texture::kPlain, srgb(0xfff0cf), {}, 0.2f, 0.8f}));

  objects.push_back(make(Shape::kBox, {0.42f, 0.80f, 2.28f}, {0.055f, 0.055f, 0.055f},
                         seconds / 5 + phase_[5], {Texture::kWood, accents_[1], accents_[0], 0.3f}));
}

Snapshot Scene::at(uint64_t frame, Motion motion) const {
  const double passed = static_cast<double>(frame) * kSecondsPerFrame;
  const bool objects_move = motion == Motion::kObjects || motion == Motion::kBoth;
  const bool camera_moves = motion == Motion::kCamera || motion == Motion::kBoth;
  const double seconds = camera_moves ? passed : 0;
  Snapshot now = still_;
  std::vector<Object> moving;
  add_moving(objects_move ? passed : 0, moving);
  for (Object& object : moving) {
    object.center.x *= side_;
    for (Vec3& axis : object.axis) axis.x *= side_;
    now.objects.push_back(object);
  }
  auto sway = [&](int phase, double period, double size) {
    return static_cast<float>(size * sine(seconds / period + phase_[phase]));
  };
  const Vec3 eye{side_ * (-0.05f + sway(6, 13, 0.32)), 1.32f + sway(7, 7, 0.05), 0.42f + sway(5, 9, 0.14)};
  now.camera = look(eye, {side_ * (0.08f + sway(7, 11, 0.1)), 0.92f + sway(6, 8, 0.04), 3.3f});
  return now;
}

}  // namespace rgbd
