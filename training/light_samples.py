#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/light-samples.txt: what the definition of the light network answers on weights and frames that
follow from names by integer arithmetic (tests/core/light_file.cpp makes the same).  light_samples.py > TABLE"""
import math

import numpy as np
import torch

from rgbdtrain import network

MASK = (1 << 64) - 1
SAMPLES, STEP = 64, 7919  # as tests/core/seeded_network.cpp
# What files of version 2 are without, and other constants.
NO_RAYS = dict(RAYS=0, CANDIDATES=25, FEATURES=9)
FEWER = dict(RAYS=0, RAW_OFFSETS=[(0, 0), (0, 1), (-2, 3)], COARSE_OFFSETS=[(0, 0), (3, -2)], SMOOTH_LEVELS=(1,), CANDIDATES=7,
             DIFFERENCE_LEVELS=(3, 2), FEATURES=7, CORRECTION=0.75, PYRAMID_LEVELS=3, MULTIPLE=16)
# Name, sizes, Settings, constants of the definition.
MODELS = [
    ("light", ["64x96", "45x70"], dict(widths=(8, 12, 16, 12, 20), bottleneck_blocks=2), NO_RAYS),
    ("settings", ["45x70"], dict(widths=(8, 16, 12), bottleneck_blocks=1, mode_tolerance=0.3, keep_window=5,
                                 keep_tolerance=0.01, hole_low=0.99, hole_high=0.9), NO_RAYS),
    ("constants", ["45x70"], dict(widths=(8, 12, 16), bottleneck_blocks=2), FEWER),
    ("rays", ["64x96", "45x70"], dict(widths=(8, 12, 16, 12, 20), bottleneck_blocks=2), {}),
    ("far", ["64x96", "45x71"], dict(widths=(8, 12, 16, 12, 20), bottleneck_blocks=2, far=1, denoise=4.0, snap=2), {}),
]


def uniform(key, n):
    """n values in [-1, 1): splitmix64 of (fnv1a64(key) + (i + 1) * golden ratio), its top 24 bits."""
    start = 0xCBF29CE484222325
    for byte in key.encode():
        start = ((start ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(start) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0).astype(np.float32)


def weight(key, shape):
    n = math.prod(shape)
    if key.endswith("bias"):
        scale = 0.125
    else:
        scale = math.sqrt(3.0 / (n // shape[0]))
    values = np.float32(scale) * uniform(key, n)
    return values * np.float32(8) if key == "head.weight" else values  # choices that are clear


def frame(height, width):
    """[4, h, w]: colour noise; two slightly rough walls, with holes of 8x8 pixels and single ones."""
    colour = [np.float32(2) * uniform(f"input.{c}", height * width).reshape(height, width) for c in "rgb"]
    rough = uniform("input.d", height * width).reshape(height, width)
    block = uniform("input.hole", (height // 8 + 1) * (width // 8 + 1)).reshape(height // 8 + 1, width // 8 + 1)
    wall = np.where(np.arange(width) < width // 2, np.float32(0.5), np.float32(1.25))
    depth = wall + np.float32(0.0625) * rough
    depth[(block.repeat(8, 0).repeat(8, 1)[:height, :width] < -0.5) | (rough > 0.9)] = 0
    return torch.from_numpy(np.stack(colour + [depth.astype(np.float32)]))


def main():
    print("# The light network's answers on seeded weights: model, size, 64 values of the map in 1/m.")
    print("# Made by training/light_samples.py.")
    for name, sizes, settings, constants in MODELS:
        before = {key: getattr(network, key) for key in constants}
        vars(network).update(constants)
        net = network.LightNetwork(network.Settings(**settings)).eval()
        net.load_state_dict({k: torch.from_numpy(weight(k, v.shape).reshape(v.shape)) for k, v in net.state_dict().items()})
        for size in sizes:
            x = frame(*map(int, size.split("x")))
            if name == "far":
                x[:3] /= 32     # to ±1/16: pale, so that pixels are alike
            with torch.inference_mode():
                y = net(x[None]).flatten().numpy()
            values = y[np.arange(SAMPLES) * STEP % y.size]
            print(name, size, *(f"{v:.9g}" for v in values))
        vars(network).update(before)


if __name__ == "__main__":
    main()
