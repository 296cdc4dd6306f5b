# SPDX-License-Identifier: Apache-2.0
"""Simulated cameras give depth or none, of the frame's size, near the truth where they measure."""
import pytest
import torch

from rgbdtrain import sensors
from rgbdtrain.noise import SIGMAS, NoiseBank
from rgbdtrain.render import GLASS

HEIGHT, WIDTH = 96, 128


@pytest.fixture(scope="module")
def world():
    """Generator, noise, a tilted wall with a box before it [3, 1, H, W], its texture and the focal lengths."""
    gen = torch.Generator().manual_seed(4)
    z = torch.linspace(1.5, 2.5, WIDTH).expand(3, 1, HEIGHT, WIDTH).clone()
    z[..., 30:70, 40:80] = 1.0
    return gen, NoiseBank(gen, 2, 256), z, torch.rand(z.shape, generator=gen), torch.full((3, 1, 1, 1), 120.0)


CAMERAS = {
    "stereo": lambda n, d, z, g, f: sensors.triangulation(n, d, z, g, f, False),
    "structured": lambda n, d, z, g, f: sensors.triangulation(n, d, z, g, f, True),
    "tof": sensors.time_of_flight,
    "low": lambda n, d, z, g, f: sensors.low_resolution(n, d, z, g, f, 3.33),
    "clean": lambda n, d, z, g, f: sensors.clean_or_sparse(n, d, z),
}


@pytest.mark.parametrize("camera", list(CAMERAS))
def test_camera(camera, world):
    gen, noise, z, grey, focal = world
    measured, close = 0, []
    for _ in range(8):
        depth = CAMERAS[camera](noise, sensors.Draw(gen, len(z)), z, grey, focal)
        assert depth.shape == z.shape and torch.isfinite(depth).all() and depth.min() >= 0
        valid = depth > 0
        measured += valid.float().mean() / 8
        close.append((depth[valid] / z[valid]).log().abs().median())
    assert 0.3 < measured <= 1
    assert 0 < torch.stack(close).median() < 0.05


def test_losses_only_take_away(world):
    gen, noise, z, _, _ = world
    objects = (z < 1.2).to(torch.uint8) + 1
    depth = sensors.losses(noise, sensors.Draw(gen, len(z)), z, objects)
    assert ((depth == z) | (depth == 0)).all() and (depth == 0).any()


def test_glass_is_seen_through_where_what_is_behind_is_near(world):
    gen, noise, z, *_ = world
    z = z[:1].expand(64, -1, -1, -1)
    objects = torch.full(z.shape, GLASS + 1, dtype=torch.uint8)
    objects[..., :40, :] = 1
    gap = torch.full_like(z, 1.01)
    gap[..., WIDTH // 2:] = 1.3
    seen = sensors.seen_through(noise, sensors.Draw(gen, len(z)), z, z * gap, objects)
    assert not seen[..., :40, :].any()                                # no glass there
    near, far = (half.float().mean() for half in seen[..., 40:, :].chunk(2, -1))
    assert 0.15 < near < 0.45 and far < 0.7 * near


def test_noise_has_unit_variance_and_its_smoothness(world):
    gen, noise, *_ = world
    for sigma in SIGMAS[:5]:
        field = noise(sigma, 64, 64, 64)
        assert abs(field.std() - 1) < 0.15
        neighbours = (field[..., 1:] * field[..., :-1]).mean() / field.var()
        expected = torch.exp(torch.tensor(-0.25 / sigma ** 2))      # white noise through a Gaussian of that sigma
        assert abs(neighbours - expected) < 0.1
