# SPDX-License-Identifier: Apache-2.0
"""The renderer's Triton kernel against its plain loop; sky and objects agree with the depth."""
from dataclasses import replace

import pytest
import torch

from rgbdtrain import scenes
from rgbdtrain.render import FAR, GLASS, Renderer
from rgbdtrain.textures import mask_atlas

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def atlases():
    gen = torch.Generator(DEVICE).manual_seed(3)
    return torch.rand(8, 256, 256, 3, generator=gen, device=DEVICE), mask_atlas(gen)


def draw(family, atlases, count=2, width=32):
    gen = torch.Generator(DEVICE).manual_seed(5)
    return scenes.make(family, gen, count, len(atlases[0]), len(atlases[1]), width)


@pytest.mark.parametrize("family", list(scenes.FAMILIES))
def test_kernel_agrees_with_loop(family, atlases):
    pytest.importorskip("triton", reason="the kernel needs triton")
    s = draw(family, atlases)
    plain, kernel = (Renderer(*atlases, kernel=k)(s, 24, 32) for k in (False, True))
    same = (plain[2] == kernel[2]) & ((plain[1] - kernel[1]).abs() <= 1e-3 * plain[1])
    assert same.float().mean() > 0.99       # along an edge, or where walls of a bin coincide, either may win
    assert (plain[2] > 0).float().mean() > 0.3


def test_depth_is_positive_and_bounded(atlases):
    for family in scenes.FAMILIES:
        colour, depth, objects, _ = Renderer(*atlases)(draw(family, atlases), 24, 32)
        assert torch.isfinite(depth).all() and depth.min() >= 0 and depth.max() < FAR * 1.1
        assert (objects[depth > 0] > 0).all()
        assert colour.min() >= 0 and colour.max() <= 1


def test_glass_shows_what_is_behind(atlases):
    s = draw("table", atlases)
    plain = Renderer(*atlases)(s, 24, 32)
    through = Renderer(*atlases)(replace(s, glass=torch.ones_like(s.grain, dtype=torch.bool)), 24, 32)
    assert torch.equal(plain[1], through[1])                      # glass is measured where it is
    assert (through[2] > GLASS).all() and (through[3] == 0).all()   # nothing is left behind it
    assert torch.equal(plain[3], plain[1])
