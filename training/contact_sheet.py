#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A picture of training samples to look at: colour, what the camera measured and the truth, side by side."""
import argparse

import cv2
import numpy as np
import torch

from rgbdtrain.data import Source
from rgbdtrain.model_file import MEAN, STD


def coloured(inverse, low, high):
    """Inverse depth [H, W] as BGR uint8; black = none."""
    level = ((inverse - low) / (high - low)).clamp(0, 1)
    picture = cv2.applyColorMap((level * 255).byte().cpu().numpy(), cv2.COLORMAP_TURBO)
    return picture * (inverse > 0).cpu().numpy()[..., None]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("out", help="PNG or JPEG file")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--samples", type=int, default=24)
    p.add_argument("--across", type=int, default=2, help="samples in a row")
    p.add_argument("--crop", type=int, nargs=2, default=(288, 384), metavar=("H", "W"))
    p.add_argument("--glass", type=float, default=0.25)
    a = p.parse_args()
    source = Source(a.seed, a.device, a.samples, noise_fields=2, noise_size=512, glass=a.glass)
    while source.filled < a.samples:
        source.render(min(6, a.samples))
    x, truth, _ = source.batch(a.samples, *a.crop)
    rows = []
    for colour, raw, t in zip(x[:, :3] * STD + MEAN, x[:, 3], truth[:, 0]):
        known = t[t > 0]
        low, high = known.quantile(0.02), known.quantile(0.98) + 1e-6
        picture = (colour.clamp(0, 1) * 255).byte().permute(1, 2, 0).flip(-1).cpu().numpy()
        rows.append(np.hstack([picture, coloured(raw, low, high), coloured(t, low, high)]))
    rows = [np.hstack(rows[i:i + a.across]) for i in range(0, len(rows) // a.across * a.across, a.across)]
    cv2.imwrite(a.out, np.vstack(rows))


if __name__ == "__main__":
    main()
