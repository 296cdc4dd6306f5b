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


def scale_level(network, level, factor):
    """Multiplies the activations of an encoder's level (0: the uppermost), and of the decoder that comes back to it, by `factor`, a
    power of two, and changes nothing else: ReLU layers are homogeneous, and what reads them takes the factor back. For
    float16, whose largest number is 65504."""
    encoder = network.encoder[level]
    scaled, blocks, readers = [encoder.down.weight, encoder.down.bias], [*encoder.blocks], [network.decoder[level].lateral]
    if level + 1 < len(network.encoder):
        decoder = network.decoder[level + 1]
        scaled += [decoder.lateral.weight, decoder.lateral.bias]
        blocks.append(decoder.block)
        readers.append(network.encoder[level + 1].down)
        if level == 0:
            readers.append(network.coarse)
    with torch.no_grad():
        for each in (*scaled, *(b for block in blocks for b in (block.conv1.bias, block.conv2.bias))):
            each *= factor
        for reader in readers:
            reader.weight /= factor


def change(network, texts):
    """NAME=VALUE texts to settings of the network."""
    for text in texts:
        name, value = text.split("=")
        setattr(network.settings, name, type(getattr(network.settings, name))(value))


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
    deepest = len(network.encoder) - 1
    scale_level(network, deepest, a.bottleneck_scale)
    scale_level(network, deepest - 1, a.deep_scale)
    change(network, a.set)
    model_file.export(network, a.out)


if __name__ == "__main__":
    main()
