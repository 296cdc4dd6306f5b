// SPDX-License-Identifier: Apache-2.0
// A recursive filter along time that stops where things move. On finished frames, of 16-bit steps in host
// memory: so it is one for the CPU and for every device, and sees no pair that was cancelled.
//
// A pixel that was s steps (a running mean, not rounded) and is now z becomes z - w (z - s), with
//   w = weight * max(0, 1 - max(m², (drift / kTemporalDrift)²)),  m = (z - s) / tolerance.
// Noise that is small against the tolerance and new in each frame shrinks to sqrt((1 - weight) / (1 +
// weight)) of itself. From the tolerance on a pixel is taken as it is: an edge that moves leaves no trail. A
// pixel without depth, now or before, is taken as it is.
//
//   tolerance = kTemporalSteps + level * s * min(kTemporalShare + kTemporalPerMetre * metres,
//   kTemporalMostShare)
// has the shape of cameras' errors, and is less than the 5 % that make an edge. `level` makes it as wide as
// the noise of the frame at hand, so that a quiet camera's frames lag no more than they must: kTemporalNoise
// times the kTemporalQuantile of |m(a) - m(b)|, m with a level of 1, where a and b are neighbours on a grid.
// Motion is much the same in both and falls out, noise does not.
//
// The drift is that of the pixel's tile, before this frame: it follows the mean of m over the tile, each
// within ±1, by kTemporalDriftRate a frame. Noise comes and goes, and has little of it; where a surface
// glides by, m has the same sign in frame after frame, and what would lag behind is taken as it is.
#pragma once

#include <memory>

#include "core/rgbd.h"

namespace rgbd {

inline constexpr float kTemporalSteps = 1.5f;
inline constexpr float kTemporalShare = 0.01f, kTemporalMostShare = 0.04f;
inline constexpr double kTemporalPerMetre = 0.01;
/// The level is kTemporalLeast to 1; about three standard deviations of the noise.
inline constexpr float kTemporalNoise = 2.5f, kTemporalQuantile = 0.7f, kTemporalLeast = 0.1f;
/// Side of a tile, pixels; the drift, in tolerances, from which it takes frames as they are; how fast it
/// follows.
inline constexpr int kTemporalTile = 16;
inline constexpr float kTemporalDrift = 0.25f, kTemporalDriftRate = 0.5f;
/// The grid on which frames are compared as a whole: 0.1 ms at 640x480, where all pixels would take 2.
inline constexpr int kTemporalRows = 4, kTemporalColumns = 8;
/// When more than this share of the grid has moved by more than the tolerance at level 1, the frame is taken
/// whole.
inline constexpr float kTemporalCut = 0.5f;

/// See rgbd.h. Keeps four bytes a pixel, allocated where the size changes and not for a frame.
std::unique_ptr<TemporalFilter> make_temporal_filter();

}  // namespace rgbd
