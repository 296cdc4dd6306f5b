# SPDX-License-Identifier: Apache-2.0
"""The ray-caster's inner loop as one Triton kernel: render.trace in one pass instead of thousands of small ones.
Compared with the plain loop in tests (Triton's interpreter) and about 30 times faster on an H100."""
import torch
import triton
import triton.language as tl

from . import render

BOX, ELLIPSOID, CYLINDER, CARD, ROOM = (tl.constexpr(k) for k in (render.BOX, render.ELLIPSOID, render.CYLINDER, render.CARD,
                                                                  render.ROOM))
NEAR, FAR = tl.constexpr(render.NEAR), tl.constexpr(render.FAR)


@triton.jit
def safe(d):
    return tl.where(tl.abs(d) < 1e-9, 1e-9, d)


@triton.jit
def nearest(ray_x, ray_y, ray_z, table, kinds, masks, best_out, slot_out, pixels, count, SIZE: tl.constexpr, BLOCK: tl.constexpr):
    scene = tl.program_id(1)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < pixels
    x = tl.load(ray_x + scene * pixels + at, mask=inside, other=1.0)
    y = tl.load(ray_y + scene * pixels + at, mask=inside, other=1.0)
    z = tl.load(ray_z + scene * pixels + at, mask=inside, other=1.0)
    best = tl.full([BLOCK], float("inf"), tl.float32)
    slot = tl.full([BLOCK], -1, tl.int32)
    for p in range(count):
        row = table + (scene * count + p) * 14
        kind = tl.load(kinds + p)
        dx = tl.load(row) * x + tl.load(row + 1) * y + tl.load(row + 2) * z
        dy = tl.load(row + 3) * x + tl.load(row + 4) * y + tl.load(row + 5) * z
        dz = tl.load(row + 6) * x + tl.load(row + 7) * y + tl.load(row + 8) * z
        ox, oy, oz = tl.load(row + 9), tl.load(row + 10), tl.load(row + 11)
        t = tl.full([BLOCK], float("inf"), tl.float32)
        if (kind == BOX) | (kind == ROOM):
            ix, iy, iz = 1 / safe(dx), 1 / safe(dy), 1 / safe(dz)
            x1, x2, y1, y2, z1, z2 = (-1 - ox) * ix, (1 - ox) * ix, (-1 - oy) * iy, (1 - oy) * iy, (-1 - oz) * iz, (1 - oz) * iz
            enter = tl.maximum(tl.maximum(tl.minimum(x1, x2), tl.minimum(y1, y2)), tl.minimum(z1, z2))
            leave = tl.minimum(tl.minimum(tl.maximum(x1, x2), tl.maximum(y1, y2)), tl.maximum(z1, z2))
            first = tl.where(kind == ROOM, leave, enter)
            t = tl.where((leave > enter) & (first > NEAR), first, float("inf"))
        elif kind == CARD:
            s = -oz / safe(dz)
            u, v = ox + s * dx, oy + s * dy
            hit = (tl.abs(u) < 1) & (tl.abs(v) < 1) & (s > NEAR)
            column = tl.minimum(tl.maximum(tl.where(hit, (u + 1) * (SIZE / 2), 0.0).to(tl.int32), 0), SIZE - 1)
            line = tl.minimum(tl.maximum(tl.where(hit, (v + 1) * (SIZE / 2), 0.0).to(tl.int32), 0), SIZE - 1)
            cut = tl.load(row + 13).to(tl.int32)
            solid = tl.load(masks + (cut * SIZE + line) * SIZE + column, mask=hit, other=0)
            t = tl.where(hit & (solid != 0), s, float("inf"))
        elif kind == ELLIPSOID:
            a = dx * dx + dy * dy + dz * dz
            b = ox * dx + oy * dy + oz * dz
            disc = b * b - a * (ox * ox + oy * oy + oz * oz - 1)
            s = (-b - tl.sqrt(tl.maximum(disc, 0.0))) / a
            t = tl.where((disc > 0) & (s > NEAR), s, float("inf"))
        else:
            taper = tl.load(row + 12)
            mid, slope = 1 - taper / 2, -taper / 2
            r0 = mid + slope * oy
            a = safe(dx * dx + dz * dz - slope * slope * dy * dy)
            b = ox * dx + oz * dz - slope * dy * r0
            disc = b * b - a * (ox * ox + oz * oz - r0 * r0)
            root = tl.sqrt(tl.maximum(disc, 0.0))
            s = (-b - root) / a
            t = tl.minimum(t, tl.where((disc > 0) & (tl.abs(oy + s * dy) < 1) & (s > NEAR), s, float("inf")))
            s = (-b + root) / a
            t = tl.minimum(t, tl.where((disc > 0) & (tl.abs(oy + s * dy) < 1) & (s > NEAR), s, float("inf")))
            s = (-1 - oy) / safe(dy)
            u, v, r = ox + s * dx, oz + s * dz, mid - slope
            t = tl.minimum(t, tl.where((u * u + v * v < r * r) & (s > NEAR), s, float("inf")))
            s = (1 - oy) / safe(dy)
            u, v, r = ox + s * dx, oz + s * dz, mid + slope
            t = tl.minimum(t, tl.where((u * u + v * v < r * r) & (s > NEAR), s, float("inf")))
        nearer = t < best
        best = tl.where(nearer, t, best)
        slot = tl.where(nearer, p, slot)
    tl.store(best_out + scene * pixels + at, best, mask=inside)
    tl.store(slot_out + scene * pixels + at, slot, mask=inside)


def trace(scenes, masks, matrix, offset, ray):
    """As Renderer.trace; matrix [B, P, 3, 3] and offset [B, P, 3] take rays to each primitive's space, ray: three [B, H, W]."""
    b, count = offset.shape[:2]
    rays = [r.contiguous() for r in ray]
    pixels = rays[0][0].numel()
    table = torch.cat([matrix.flatten(2), offset, scenes.taper[..., None], scenes.mask[..., None].float()], -1).contiguous()
    kinds = torch.tensor(scenes.kinds, dtype=torch.int32, device=table.device)
    best = torch.empty_like(rays[0])
    slot = torch.empty(rays[0].shape, dtype=torch.int32, device=table.device)
    block = 256
    nearest[(triton.cdiv(pixels, block), b)](*rays, table, kinds, masks.to(torch.uint8), best, slot, pixels, count, masks.shape[-1], block)
    return best, slot
