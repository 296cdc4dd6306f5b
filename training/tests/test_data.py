# SPDX-License-Identifier: Apache-2.0
"""Crops of the pool keep their geometry."""
import torch

from rgbdtrain.data import HALVES, Source, mirrored


def test_crops_take_every_pixel_or_every_other():
    source = Source(3, "cpu", 2, 40, 64, noise_fields=2, noise_size=256)
    source.filled = 2
    source.depth[:] = 100 * torch.arange(40)[:, None] + torch.arange(64)
    source.focal[:] = 80
    _, depth, _, _, focal = source.crops(200, 32, 32)
    apart = lambda dim, unit: (depth.diff(dim=dim).abs() / unit).flatten(1).median(1).values    # but at the mirror
    every = apart(3, 1)
    assert set(every.tolist()) == {1, 2} and torch.equal(every, apart(2, 100))
    assert abs((every == 2).float().mean() - HALVES) < 0.1
    assert torch.equal(focal.flatten(), 80 / every)


def test_beyond_the_border_is_the_mirror_image():
    assert mirrored(torch.arange(10), 5).tolist() == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1]
