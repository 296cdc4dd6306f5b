#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a model file anew with other inference settings, and with its choice among candidates softened or leaned
towards measured neighbours. Choose the values on validation frames (evaluate.py), never on what is reported."""
import argparse

import torch

from rgbdtrain import model_file
from rgbdtrain.network import CANDIDATES, RAW_OFFSETS


def soften(network, sharpness, neighbours):
    """Multiplies the choice's logits by `sharpness` and adds `neighbours` to those of measured depths beside the pixel."""
    with torch.no_grad():
        weight = network.head.weight.view(CANDIDATES + 1, 4, -1)     # pixel-shuffle order: 4 outputs a candidate
        bias = network.head.bias.view(CANDIDATES + 1, 4)
        weight[:CANDIDATES] *= sharpness
        bias[:CANDIDATES] *= sharpness
        for i, offset in enumerate(RAW_OFFSETS):
            if offset != (0, 0):
                bias[i] += neighbours


def scale_bottleneck(network, factor):
    """Multiplies the deepest level's activations by `factor`, a power of two, and changes nothing else: ReLU layers are
    homogeneous, and only the decoder's lateral layer reads them. For float16, whose largest number is 65504."""
    deep = network.encoder[-1]
    with torch.no_grad():
        for scaled in (deep.down.weight, deep.down.bias, *(b for block in deep.blocks for b in (block.conv1.bias, block.conv2.bias))):
            scaled *= factor
        network.decoder[-1].lateral.weight /= factor


def change(network, texts):
    """NAME=VALUE texts to settings of the network."""
    for text in texts:
        name, value = text.split("=")
        setattr(network.settings, name, type(getattr(network.settings, name))(float(value)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("model")
    p.add_argument("out")
    p.add_argument("--sharpness", type=float, default=1.0)
    p.add_argument("--neighbours", type=float, default=0.0)
    p.add_argument("--bottleneck-scale", type=float, default=1.0, help="power of two; leaves the result as it is")
    p.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="inference settings of network.Settings")
    a = p.parse_args()
    network = model_file.load(a.model)
    soften(network, a.sharpness, a.neighbours)
    scale_bottleneck(network, a.bottleneck_scale)
    change(network, a.set)
    model_file.export(network, a.out)


if __name__ == "__main__":
    main()
