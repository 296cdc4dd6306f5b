#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a model file anew with other inference settings, its choice among candidates softened or leaned towards measured
neighbours or the borders of holes, its weights blended with those of the model that its training started from. Choose the values on validation frames (evaluate.py), never on what is reported."""
import argparse

import torch

from rgbdtrain import model_file
from rgbdtrain.network import CANDIDATES, RAW_OFFSETS, RAYS


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


def blend(network, other, share):
    """`share` of the network's weights and 1 - share of the other's, which it was trained from: between the two there is no
    hill, and the mean keeps what the later training forgot."""
    with torch.no_grad():
        for mine, its in zip(network.parameters(), other.parameters(), strict=True):
            mine.lerp_(its, 1 - share)


def lean_to_rays(network, amount):
    """Adds `amount` to the logits of the nearest measured depths in each direction."""
    with torch.no_grad():
        network.head.bias.view(CANDIDATES + 1, 4)[CANDIDATES - 1 - RAYS:CANDIDATES - 1] += amount


def scale_bottleneck(network, factor):
    """Multiplies the deepest level's activations by `factor`, a power of two, and changes nothing else: ReLU layers are
    homogeneous, and only the decoder's lateral layer reads them. For float16, whose largest number is 65504."""
    deep = network.encoder[-1]
    with torch.no_grad():
        for scaled in (deep.down.weight, deep.down.bias, *(b for block in deep.blocks for b in (block.conv1.bias, block.conv2.bias))):
            scaled *= factor
        network.decoder[-1].lateral.weight /= factor


def scale_deep(network, factor):
    """The same for the level above the deepest one, which the encoder leaves and the decoder comes back to."""
    encoder, decoder = network.encoder[-2], network.decoder[-1]
    with torch.no_grad():
        for scaled in (encoder.down.weight, encoder.down.bias, decoder.lateral.weight, decoder.lateral.bias,
                       *(b for block in (*encoder.blocks, decoder.block) for b in (block.conv1.bias, block.conv2.bias))):
            scaled *= factor
        network.encoder[-1].down.weight /= factor
        if len(network.decoder) == 2:       # the coarse depth is read there
            network.coarse.weight /= factor
        network.decoder[-2].lateral.weight /= factor


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
    p.add_argument("--blend", metavar="OTHER", help="model file of which the result has a part as it is")
    p.add_argument("--share", type=float, default=0.7, help="with --blend: the part that MODEL has")
    p.add_argument("--rays", type=float, default=0.0, help="added to the logits of the nearest measured depths, after --blend")
    p.add_argument("--bottleneck-scale", type=float, default=1.0, help="power of two; leaves the result as it is")
    p.add_argument("--deep-scale", type=float, default=1.0, help="the same for the level above; power of two")
    p.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="inference settings of network.Settings")
    a = p.parse_args()
    network = model_file.load(a.model)
    soften(network, a.sharpness, a.neighbours)
    if a.blend:
        blend(network, model_file.load(a.blend), a.share)
    lean_to_rays(network, a.rays)
    scale_bottleneck(network, a.bottleneck_scale)
    scale_deep(network, a.deep_scale)
    change(network, a.set)
    model_file.export(network, a.out)


if __name__ == "__main__":
    main()
