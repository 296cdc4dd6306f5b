#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Refines RGB-D pairs with a model file as `rgbd-refine` does, in Python: IN/<set>/<nn>_rgb.png with <nn>_depth.png
(16-bit, millimetres) becomes OUT/<set>/<nn>.png. The C++ program is what counts; this is for choosing models."""
import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from adjust import change
from rgbdtrain import model_file

MAX_DEPTH = 25.0    # metres, as rgbdrefine's max-depth


def network_input(rgb, depth, short_side, mean, std):
    """BGR uint8 [H, W, 3] and metres [H, W] to x [1, 4, h, w]; frames are made smaller, never larger."""
    height, width = rgb.shape[:2]
    scale = min(1.0, short_side / min(height, width))
    size = round(width * scale), round(height * scale)
    colour = rgb[..., ::-1].astype(np.float32) / 255
    if size != (width, height):
        colour = cv2.resize(colour, size, interpolation=cv2.INTER_CUBIC)
    if depth.shape[::-1] != size:
        depth = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
    inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0).astype(np.float32)
    return torch.from_numpy(np.concatenate([((colour - mean) / std).transpose(2, 0, 1), inverse[None]])[None])


def refine(network, rgb, millimetres, short_side=model_file.INPUT_SIZE):
    """uint16 millimetres of the colour frame's size."""
    depth = millimetres.astype(np.float32) / 1000
    depth[depth > MAX_DEPTH] = 0
    with torch.no_grad():
        q = network(network_input(rgb, depth, short_side, model_file.MEAN, model_file.STD))[0].numpy()
    out = np.where(q > 0, 1 / np.maximum(q, 1e-6), 0)
    out = np.clip(np.round(out * 1000), 0, 65535).astype(np.uint16)
    return cv2.resize(out, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("model")
    p.add_argument("source", metavar="IN")
    p.add_argument("out", metavar="OUT")
    p.add_argument("--short-side", type=int, default=model_file.INPUT_SIZE)
    p.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other inference settings than the file's")
    a = p.parse_args()
    network = model_file.load(a.model)
    change(network, a.set)
    for path in sorted(Path(a.source).rglob("*_rgb.*")):
        rgb = cv2.imread(str(path))
        stem = path.name[:path.name.rindex("_rgb.")]
        millimetres = cv2.imread(str(path.with_name(f"{stem}_depth.png")), cv2.IMREAD_UNCHANGED)
        begin = time.time()
        refined = refine(network, rgb, millimetres, a.short_side)
        target = Path(a.out) / path.parent.relative_to(a.source) / f"{stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), refined)
        print(f"{target} {rgb.shape[1]}x{rgb.shape[0]} {time.time() - begin:.2f} s")


if __name__ == "__main__":
    main()
