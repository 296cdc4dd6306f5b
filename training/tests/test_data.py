# SPDX-License-Identifier: Apache-2.0
"""Crops of the pool keep their geometry."""
import pytest
import torch

from rgbdtrain.data import HALVES, Source, mirrored

HEIGHT, WIDTH = 40, 64


@pytest.fixture(scope="module")
def source():
    """A pool of two frames whose pixels say where they are, in depth as in colour."""
    source = Source(3, "cpu", 2, HEIGHT, WIDTH, noise_fields=2, noise_size=256)
    source.filled = 2
    row, column = torch.arange(HEIGHT)[:, None].expand(HEIGHT, WIDTH), torch.arange(WIDTH).expand(HEIGHT, WIDTH)
    source.depth[:] = (100 * row + column).float()
    source.depth[1] += 10000
    source.focal[:] = torch.tensor([80.0, 160.0])
    source.colour[:] = torch.stack([row, column, 0 * row], -1).to(torch.uint8)
    return source


def test_crops_take_every_pixel_or_every_other(source):
    _, depth, _, _, focal = source.crops(200, 32, 32)
    halves = 0
    for z, f in zip(depth[:, 0].long(), focal.flatten()):
        frame, z = z[0, 0] // 10000, z % 10000
        row, column = z // 100, z % 100
        assert (row == row[:, :1]).all() and (column == column[:1]).all()
        every = int((160 if frame else 80) / f)
        halves += every == 2
        for places, size in ((row[:, 0], HEIGHT), (column[0], WIDTH)):
            for at in (places, places.flip(0)):     # one of both goes up from its first place, and back from the border
                start = at[0]
                if torch.equal(at, mirrored(start + every * torch.arange(32), size)):
                    break
            else:
                pytest.fail(f"{places.tolist()} are not every {every} of {size}")
    assert abs(halves / 200 - HALVES) < 0.1


def test_colour_is_shifted_as_a_whole(source):
    colour, depth, *_ = source.crops(200, 32, 32)
    places = (colour[:, :2] * 255).round()
    z = depth[:, 0] % 10000
    apart = places - torch.stack([z.div(100, rounding_mode="floor"), z % 100], 1)
    inside = apart[:, :, 8:16, 8:16].flatten(2)    # away from the border, where the mirror turns shifts round
    assert (inside == inside[..., :1]).all(2).all(1).float().mean() > 0.6      # all that are not stretched, nor end at the mirror there
    assert ((apart == 0).flatten(1).all(1)).float().mean() > 0.2


def test_beyond_the_border_is_the_mirror_image():
    assert mirrored(torch.arange(-2, 10), 5).tolist() == [2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0, 1]
