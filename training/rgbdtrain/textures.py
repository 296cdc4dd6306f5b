# SPDX-License-Identifier: Apache-2.0
"""Atlases the renderer samples: tiling colour textures and binary cut-out masks, all made from noise by seed."""
import torch
import torch.nn.functional as F

SIZE = 256


def tiling_noise(gen, count, cells, size=SIZE):
    """Smooth noise in 0..1 [count, size, size] that tiles; `cells` = features per side (int or (y, x))."""
    cy, cx = (cells, cells) if isinstance(cells, int) else cells
    grid = torch.rand(count, 1, cy, cx, generator=gen, device=gen.device)
    pad = F.pad(grid, (2, 2, 2, 2), mode="circular") if min(cy, cx) >= 2 else grid.repeat(1, 1, 5, 5)
    my, mx = (2, 2) if min(cy, cx) >= 2 else (2 * cy, 2 * cx)
    scale_y, scale_x = size // cy, size // cx
    big = F.interpolate(pad, size=(pad.shape[2] * scale_y, pad.shape[3] * scale_x), mode="bicubic", align_corners=False)
    big = big[:, 0, my * scale_y:my * scale_y + cy * scale_y, mx * scale_x:mx * scale_x + cx * scale_x]
    return F.interpolate(big[:, None], size=(size, size), mode="nearest")[:, 0].clamp(0, 1)


def octaves(gen, count, start, steps):
    total = sum(0.6 ** i * (tiling_noise(gen, count, start * 2 ** i) - 0.5) for i in range(steps))
    return (total / total.std((1, 2), keepdim=True) * 0.22 + 0.5).clamp(0, 1)


def colours(gen, count, n):
    """Random colours [count, n, 3], from dull to vivid, dark to bright."""
    hue = torch.rand(count, n, 3, generator=gen, device=gen.device)
    grey = hue.mean(2, keepdim=True)
    vivid = torch.rand(count, n, 1, generator=gen, device=gen.device) ** 2.5
    return (grey + (hue - grey) * vivid * 1.4).clamp(0.02, 1)


def leaves(gen, count, shapes):
    """Dead leaves: discs and rectangles painted over each other, [count, SIZE, SIZE, 3]."""
    dev = gen.device
    rand = lambda *s: torch.rand(*s, generator=gen, device=dev)
    axis = torch.arange(SIZE, device=dev) / SIZE
    y, x = axis[None, :, None], axis[None, None, :]
    image = colours(gen, count, 1)[:, 0, None, None, :].expand(count, SIZE, SIZE, 3).clone()
    for _ in range(shapes):
        cy, cx, angle = rand(count, 1, 1), rand(count, 1, 1), rand(count, 1, 1) * 6.28
        r = 0.02 + 0.25 * rand(count, 1, 1) ** 3
        aspect = 0.25 + 0.75 * rand(count, 1, 1)
        dy, dx = (y - cy + 0.5) % 1 - 0.5, (x - cx + 0.5) % 1 - 0.5
        u, v = (dx * angle.cos() + dy * angle.sin()) / r, (dy * angle.cos() - dx * angle.sin()) / (r * aspect)
        inside = torch.where(rand(count, 1, 1) < 0.5, u * u + v * v < 1, (u.abs() < 1) & (v.abs() < 1))
        image = torch.where(inside[..., None], colours(gen, count, 1)[:, :, None, :], image)
    return image


def mix(gen, share):
    """Colours by a map in 0..1: [count, S, S] to [count, S, S, 3]."""
    c = colours(gen, share.shape[0], 2)
    contrast = torch.rand(share.shape[0], 1, generator=gen, device=gen.device)
    c[:, 1] = c[:, 0] + (c[:, 1] - c[:, 0]) * contrast
    return c[:, 0, None, None] * (1 - share[..., None]) + c[:, 1, None, None] * share[..., None]


def texture_atlas(gen):
    """[N, SIZE, SIZE, 3] float 0..1, shuffled."""
    dev = gen.device
    axis = torch.arange(SIZE, device=dev)
    y, x = axis[None, :, None], axis[None, None, :]
    period = lambda n: 2 ** torch.randint(3, 8, (n, 1, 1), generator=gen, device=dev)
    parts = [mix(gen, torch.zeros(24, SIZE, SIZE, device=dev)),
             mix(gen, octaves(gen, 32, 2, 6)), mix(gen, octaves(gen, 16, 8, 4)),
             mix(gen, (octaves(gen, 16, 4, 5) > 0.5).float()),
             mix(gen, tiling_noise(gen, 12, (128, 2)) * 0.6 + 0.4 * tiling_noise(gen, 12, (32, 4))),
             leaves(gen, 32, 160)]
    p = period(16)
    parts.append(mix(gen, ((y // p + x // p) % 2).float()))
    p = period(16)
    parts.append(mix(gen, ((x // p) % 2).float().expand(16, SIZE, SIZE)))
    p = period(8)
    brick = ((y % p) < (p // 8 + 1)) | (((x + (y // p) % 2 * p) % (2 * p)) < (p // 8 + 1))
    parts.append(mix(gen, brick.float()))
    small = (torch.rand(16, 32, 16, generator=gen, device=dev) < 0.45).float()   # text-like rows
    rows = F.interpolate(small[:, None], size=(SIZE, SIZE), mode="nearest")[:, 0] * ((y // 8) % 2)
    parts.append(mix(gen, rows))
    atlas = torch.cat(parts)
    for i in range(0, atlas.shape[0], 2):   # fine grain on every other one
        atlas[i] *= 0.85 + 0.3 * octaves(gen, 1, 32, 3)[0][..., None]
    return atlas[torch.randperm(atlas.shape[0], generator=gen, device=dev)].clamp(0, 1).contiguous()


def mask_atlas(gen):
    """Cut-outs [M, SIZE, SIZE] bool: blobs, leaves, polygons, then grids and fences (the last quarter)."""
    dev = gen.device
    axis = (torch.arange(SIZE, device=dev) + 0.5) / SIZE * 2 - 1
    y, x = axis[None, :, None], axis[None, None, :]
    rand = lambda *s: torch.rand(*s, generator=gen, device=dev)
    angle, radius = torch.atan2(y, x), (x * x + y * y).sqrt()
    shapes = [(octaves(gen, 16, 2, 4) - 0.35 * radius > 0.35)]
    wave = sum(rand(16, 1, 1) * torch.cos(k * angle + 6.28 * rand(16, 1, 1)) / k for k in range(1, 9))
    shapes.append(radius < 0.6 + 0.25 * wave)
    edges = [(x * torch.cos(a) + y * torch.sin(a)) < 0.35 + 0.6 * rand(16, 1, 1)
             for a in (rand(16, 1, 1) * 6.28 for _ in range(5))]
    shapes.append(torch.stack(edges).all(0))
    n, duty = (3 + 14 * rand(16, 1, 1)).floor(), 0.12 + 0.4 * rand(16, 1, 1)
    bars = ((x + 1) / 2 * n) % 1 < duty
    cross = ((y + 1) / 2 * n) % 1 < duty
    shapes.append(torch.where(rand(16, 1, 1) < 0.5, (bars | cross), bars.expand(16, SIZE, SIZE)))
    return torch.cat(shapes).contiguous()
