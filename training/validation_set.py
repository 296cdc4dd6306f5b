#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Renders clean frames that no training run has seen (their seeds are apart) to score models on:
OUT/<family>/<nn>_rgb.png and <nn>_gt.png (16-bit, millimetres, 0 = none)."""
import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from rgbdtrain import scenes
from rgbdtrain.data import Source
from rgbdtrain.render import Renderer
from rgbdtrain.textures import mask_atlas, texture_atlas

SEED = 7_000_000_000    # training seeds are small numbers times 1000


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("out", metavar="OUT")
    p.add_argument("--each", type=int, default=4, help="frames of a family")
    p.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("H", "W"))
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a = p.parse_args()
    gen = torch.Generator(a.device).manual_seed(SEED)
    textures, masks = texture_atlas(gen), mask_atlas(gen)
    renderer = Renderer(textures, masks, kernel=gen.device.type == "cuda")
    for family in scenes.FAMILIES:
        if family == "glassware":        # the evaluation script's cameras know nothing of glass
            continue
        folder = Path(a.out) / family
        folder.mkdir(parents=True, exist_ok=True)
        done = 0
        while done < a.each:
            s = scenes.make(family, gen, 2, len(textures), len(masks), a.size[1])
            colour, depth, *_ = renderer(s, *a.size)
            for picture, z in zip(colour.cpu(), depth.cpu()):
                if done == a.each or not Source.worth_keeping(z[None]).item():
                    continue
                cv2.imwrite(str(folder / f"{done:02d}_rgb.png"), (picture * 255).byte().flip(-1).numpy())
                cv2.imwrite(str(folder / f"{done:02d}_gt.png"), np.clip(z.numpy() * 1000, 0, 65535).round().astype(np.uint16))
                done += 1


if __name__ == "__main__":
    main()
