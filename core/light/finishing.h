// SPDX-License-Identifier: Apache-2.0
// The numbers of hole_vote.cpp, denoise.cpp and edge_snap.cpp and of CUDA's kernels of these names. As in
// training/rgbdtrain/finishing.py.
#pragma once

#include <array>

namespace rgbd::light {

// Distances, pixels, over which depths spread into holes, one after the other.
inline constexpr std::array<int, 6> kVoteSteps = {1, 2, 4, 8, 16, 32};
// Of the squared difference of colours, which makes pixels unlike.
inline constexpr float kVoteContrast = 100;
// Weight of pixels beside, above and below; 1 of those at the corners.
inline constexpr float kVoteBeside = 1.6f;
// Below this sum of weights a hole is left to the next step.
inline constexpr float kVoteLeast = 1e-3f;
// Far from anything measured only half the size sees enough; it may leave the other two by this share.
inline constexpr float kFarSlack = 0.25f;

// Distances of the pixels averaged, one after the other.
inline constexpr std::array<int, 4> kDenoiseSteps = {1, 2, 4, 8};
// Of one pixel, relative: what is farther off is no noise.
inline constexpr float kMostNoise = 0.01f;

// As kVoteContrast.
inline constexpr float kSnapContrast = 30;
// Less difference of depth in a window is no edge.
inline constexpr float kSnapEdge = 0.04f;
// By how much the other side of an edge must have more alike colours.
inline constexpr float kSnapMajority = 1.2f;

}  // namespace rgbd::light
