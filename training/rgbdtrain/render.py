# SPDX-License-Identifier: Apache-2.0
"""Batched ray-caster over boxes, ellipsoids, tapered cylinders and cut-out cards; shading with textures and shadows.

A slot holds one kind of primitive in every scene of the batch, so each pass over the pixels runs one formula.
Rays are (u, v, 1) in camera space, hence the ray parameter is depth (z) itself.
"""
from dataclasses import dataclass, replace

import torch

BOX, ELLIPSOID, CYLINDER, CARD, ROOM = range(5)   # ROOM: a box seen from inside
NEAR, FAR = 0.12, 60.0
GLASS = 128


@dataclass
class Scenes:
    """B scenes of P primitives; world is y up, metres."""
    kinds: list                 # [P] one of the constants above
    centre: torch.Tensor        # [B, P, 3]
    half: torch.Tensor          # [B, P, 3] half sizes
    turn: torch.Tensor          # [B, P, 3, 3] rows: local axes in the world
    taper: torch.Tensor         # [B, P] cylinders: top radius = (1 - taper) * bottom radius
    texture: torch.Tensor       # [B, P] index
    mask: torch.Tensor          # [B, P] index, cards only
    grain: torch.Tensor         # [B, P] textures per metre
    gloss: torch.Tensor         # [B, P]
    relief: torch.Tensor        # [B, P] amplitude, share of depth
    glass: torch.Tensor         # [B, P] bool: one sees through; None: nothing of glass
    eye: torch.Tensor           # [B, 3]
    look: torch.Tensor          # [B, 3, 3] columns: camera right, down, forward in the world
    focal: torch.Tensor         # [B] pixels
    lights: torch.Tensor        # [B, 2, 3] positions
    ambient: torch.Tensor       # [B]


def closest(kind, o, d, taper):
    """Ray parameter of the first hit of a unit primitive (inf: none). o, d: three tensors each, local space."""
    inf = torch.inf
    (ox, oy, oz), (dx, dy, dz) = o, d
    if kind in (BOX, ROOM):
        low, high = [], []
        for a, b in zip(o, d):
            b = torch.where(b.abs() < 1e-9, 1e-9, b)
            t1, t2 = (-1 - a) / b, (1 - a) / b
            low.append(torch.minimum(t1, t2))
            high.append(torch.maximum(t1, t2))
        enter = torch.maximum(torch.maximum(low[0], low[1]), low[2])
        leave = torch.minimum(torch.minimum(high[0], high[1]), high[2])
        if kind == ROOM:
            return torch.where((leave > enter) & (leave > NEAR), leave, inf)
        return torch.where((leave > enter) & (enter > NEAR), enter, inf)
    if kind == CARD:
        t = -oz / torch.where(dz.abs() < 1e-9, 1e-9, dz)
        inside = ((ox + t * dx).abs() < 1) & ((oy + t * dy).abs() < 1) & (t > NEAR)
        return torch.where(inside, t, inf)
    if kind == ELLIPSOID:
        a, b, c = dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz, ox * ox + oy * oy + oz * oz - 1
        disc = b * b - a * c
        t = (-b - disc.clamp(min=0).sqrt()) / a
        return torch.where((disc > 0) & (t > NEAR), t, inf)
    mid, slope = 1 - taper / 2, -taper / 2      # radius at height y: mid + slope * y
    r0 = mid + slope * oy
    a = dx * dx + dz * dz - slope * slope * dy * dy
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    b = ox * dx + oz * dz - slope * dy * r0
    disc = b * b - a * (ox * ox + oz * oz - r0 * r0)
    root = disc.clamp(min=0).sqrt()
    best = torch.full_like(disc, inf)
    for t in ((-b - root) / a, (-b + root) / a):
        ok = (disc > 0) & ((oy + t * dy).abs() < 1) & (t > NEAR)
        best = torch.minimum(best, torch.where(ok, t, inf))
    inv = 1 / torch.where(dy.abs() < 1e-9, 1e-9, dy)
    for side in (-1.0, 1.0):
        t = (side - oy) * inv
        x, z, r = ox + t * dx, oz + t * dz, mid + slope * side
        best = torch.minimum(best, torch.where((x * x + z * z < r * r) & (t > NEAR), t, inf))
    return best


def local(matrix, vector):
    """matrix [B, 3, 3], vector: three tensors [B, H, W] or [B, 1, 1]."""
    m = matrix[..., None, None]
    x, y, z = vector
    return [m[:, i, 0] * x + m[:, i, 1] * y + m[:, i, 2] * z for i in range(3)]


class Renderer:
    """`kernel`: trace with the Triton kernel (GPU); else the plain loop."""

    def __init__(self, textures, masks, kernel=False):
        self.textures, self.masks, self.kernel = textures, masks, kernel

    def trace(self, s, origin, ray):
        """Nearest hit: depth [B, H, W] (inf: none) and slot (-1: none). origin [B, 3], ray: three [B, H, W] in the world."""
        matrix = s.turn / s.half[..., None]
        offset = (matrix @ (origin[:, None] - s.centre)[..., None])[..., 0]
        if self.kernel:
            from .trace_kernel import trace
            return trace(s, self.masks, matrix, offset, ray)
        best = torch.full_like(ray[0], torch.inf)
        index = torch.full(ray[0].shape, -1, device=best.device, dtype=torch.int32)
        size = self.masks.shape[-1]
        for p, kind in enumerate(s.kinds):
            o = [offset[:, p, i, None, None] for i in range(3)]
            d = local(matrix[:, p], ray)
            t = closest(kind, o, d, s.taper[:, p, None, None])
            if kind == CARD:
                at = torch.where(t < FAR, t, 0)
                column = ((o[0] + at * d[0] + 1) * (size / 2)).long().clamp(0, size - 1)
                row = ((o[1] + at * d[1] + 1) * (size / 2)).long().clamp(0, size - 1)
                cut = self.masks[s.mask[:, p]].flatten(1)
                t = torch.where(cut.gather(1, (row * size + column).flatten(1)).view_as(t), t, torch.inf)
            nearer = t < best
            best, index = torch.where(nearer, t, best), torch.where(nearer, p, index)
        return best, index

    @torch.no_grad()
    def __call__(self, s, height, width):
        """Colour [B, H, W, 3] in 0..1, depth [B, H, W] metres (0 = sky), slot + 1 [B, H, W] uint8 (0 = sky; GLASS is added
        to slots of glass), depth of what is behind glass."""
        dev, b = s.centre.device, s.centre.shape[0]
        y = (torch.arange(height, device=dev) + 0.5 - height / 2)[None, :, None]
        x = (torch.arange(width, device=dev) + 0.5 - width / 2)[None, None, :]
        f = s.focal[:, None, None]
        camera = [(x / f).expand(b, height, width), (y / f).expand(b, height, width), torch.ones(b, height, width, device=dev)]
        ray = local(s.look, camera)
        if s.glass is None:
            colour, depth, slot, *_ = self._view(s, s, ray)
            through = depth
        else:
            glass = s.glass
            empty = replace(s, centre=torch.where(glass[..., None], s.centre.new_tensor([0.0, -900.0, 0.0]), s.centre))
            colour, depth, slot, normal, facing, shine = self._view(s, empty, ray)
            behind, beyond, *_ = self._view(empty, empty, ray)
            seen = (glass.gather(1, slot.long().clamp(min=0).flatten(1)).view_as(slot) & (slot >= 0))
            # Rims bend the view and show the glass itself; highlights stay whatever is behind.
            rim = 1 - facing.abs()
            spread = lambda column: ((s.grain[:, column] * 97) % 1.0)[:, None, None]    # by numbers that scenes draw anyway
            bend = 32 * spread(1) ** 2 * (facing.abs() * rim).clamp(min=0)             # thin walls bend less
            behind = self._bent(behind, s, normal, bend)
            clear = 0.5 + 0.47 * spread(0)                                             # share of the background let through
            share = (clear * (1 - 0.7 * rim ** 3))[..., None]
            colour = torch.where(seen[..., None], (share * (behind + shine[..., None]) + (1 - share) * colour).clamp(0, 1), colour)
            through = torch.where(seen, beyond, depth)
            slot = slot + GLASS * seen
        return colour, depth, (slot + 1).to(torch.uint8), through

    @staticmethod
    def _bent(picture, s, normal, bend):
        """picture [B, H, W, 3] seen `bend` [B, H, W] pixels along the normals' image direction."""
        b, h, w, _ = picture.shape
        dev = picture.device
        along = [sum(normal[i] * s.look[:, i, k, None, None] for i in range(3)) for k in (0, 1)]
        row = (torch.arange(h, device=dev)[None, :, None] - along[1] * bend).round().long().clamp(0, h - 1)
        column = (torch.arange(w, device=dev)[None, None, :] - along[0] * bend).round().long().clamp(0, w - 1)
        return picture.flatten(1, 2).gather(1, (row * w + column).view(b, -1, 1).expand(-1, -1, 3)).view_as(picture)

    def _view(self, s, casting, ray):
        """Along `ray`, three [B, H, W] in the world: colour, depth, slot, normal (three), cosine of the viewing angle, highlight.
        `casting`: the scenes without what casts no shadow."""
        eye = [s.eye[:, i, None, None] for i in range(3)]
        depth, slot = self.trace(s, s.eye, ray)
        hit = slot >= 0
        t = torch.where(hit, depth, 1.0)
        point = [e + t * r for e, r in zip(eye, ray)]
        light = [s.lights[:, 0, i, None, None] for i in range(3)]
        to_light = [(l - p) for l, p in zip(light, point)]
        # From the light to the point: a hit well before it is a shadow.
        length = sum(v * v for v in to_light).sqrt()
        unit = [-v / length for v in to_light]
        first, _ = self.trace(casting, s.lights[:, 0], unit)
        shadow = first < length - 0.02
        colour, lift, normal, facing, shine = self._shade(s, slot.long().clamp(min=0), point, ray, shadow, t, self._pack(s))
        sky = torch.stack([0.55 + 0.3 * (ray[1] / (ray[0] ** 2 + ray[1] ** 2 + ray[2] ** 2).sqrt())] * 3, -1)
        colour = torch.where(hit[..., None], colour, sky).clamp(0, 1)
        return colour, torch.where(hit & (depth < FAR), t * (1 + lift), 0), slot, normal, facing, shine

    def _pack(self, s):
        kind = torch.tensor(s.kinds, device=s.centre.device, dtype=torch.float32)[None].expand(s.centre.shape[:2])
        return torch.cat([s.centre, s.half, s.turn.flatten(2), torch.stack(
            [s.taper, s.grain, s.gloss, s.relief, s.texture.float(), kind], -1)], -1)

    def _shade(self, s, slot, point, ray, shadow, t, pack):
        b, h, w = slot.shape
        p = pack.gather(1, slot.view(b, -1, 1).expand(-1, -1, pack.shape[2])).view(b, h, w, -1).unbind(-1)
        centre, half, m = p[0:3], p[3:6], p[6:15]
        taper, grain, gloss, relief, texture, kind = p[15:21]
        off = [a - c for a, c in zip(point, centre)]
        q = [m[3 * i] * off[0] + m[3 * i + 1] * off[1] + m[3 * i + 2] * off[2] for i in range(3)]   # metres, local
        unit = [a / hh for a, hh in zip(q, half)]
        ax, ay, az = [a.abs() for a in unit]
        major = torch.where((ax >= ay) & (ax >= az), 0, torch.where(ay >= az, 1, 2))
        flat = [torch.where(major == i, unit[i].sign(), 0.0) for i in range(3)]
        cap = ay > 0.9995
        slope = -taper / 2
        side = [torch.where(cap, 0.0, unit[0] / half[0]),
                torch.where(cap, unit[1].sign(), -slope * (1 - taper / 2 + slope * unit[1]) / half[1]),
                torch.where(cap, 0.0, unit[2] / half[2])]
        boxy, ball, tube = (kind == BOX) | (kind == ROOM), kind == ELLIPSOID, kind == CYLINDER
        n = [torch.where(boxy, flat[i], torch.where(ball, unit[i] / half[i],
                         torch.where(tube, side[i], 1.0 if i == 2 else 0.0))) for i in range(3)]
        # Relief: a sum of sines in local space moves the depth and bends the normal.
        lift, bend = torch.zeros_like(t), [torch.zeros_like(t) for _ in range(3)]
        for k, (fx, fy, fz, phase) in enumerate([(5, 3, 7, .3), (-7, 11, 4, 1.9), (13, -6, 9, 4.1), (4, 19, -15, 2.2)]):
            freq = torch.exp(grain.clamp(max=3) * 0.3) / (t.clamp(min=0.4)) ** 0.5
            arg = (fx * q[0] + fy * q[1] + fz * q[2]) * freq + phase + texture
            lift = lift + torch.sin(arg) / 4
            for i, c in enumerate((fx, fy, fz)):
                bend[i] = bend[i] + c * freq * torch.cos(arg) / 4
        length = sum(v * v for v in n).sqrt().clamp(min=1e-9)
        n = [a / length + relief * t * g for a, g in zip(n, bend)]
        world = [m[i] * n[0] + m[3 + i] * n[1] + m[6 + i] * n[2] for i in range(3)]
        facing = sum(a * r for a, r in zip(world, ray))
        scale = -facing.sign() / sum(v * v for v in world).sqrt().clamp(min=1e-9)
        world = [v * scale for v in world]
        u = torch.where(major == 0, q[2], q[0]) * grain
        v = torch.where(major == 1, q[2], q[1]) * grain
        size = self.textures.shape[1]
        u, v = (u + texture * 0.37) % 1 * size, (v + texture * 0.61) % 1 * size
        u0, v0 = u.floor(), v.floor()
        fu, fv = (u - u0)[..., None], (v - v0)[..., None]
        flat_textures = self.textures.view(-1, 3)
        def texel(y, x):
            return flat_textures[(texture.long() * size + y.long() % size) * size + x.long() % size]
        albedo = ((texel(v0, u0) * (1 - fu) + texel(v0, u0 + 1) * fu) * (1 - fv)
                  + (texel(v0 + 1, u0) * (1 - fu) + texel(v0 + 1, u0 + 1) * fu) * fv)
        view_length = sum(r * r for r in ray).sqrt()
        view = [-r / view_length for r in ray]
        light_sum = s.ambient[:, None, None] * (0.75 + 0.25 * world[1])
        shine = torch.zeros_like(t)
        for k in (0, 1):
            to = [s.lights[:, k, i, None, None] - point[i] for i in range(3)]
            inv = 1 / sum(a * a for a in to).sqrt().clamp(min=1e-6)
            to = [a * inv for a in to]
            lit = sum(a * c for a, c in zip(world, to)).clamp(min=0)
            if k == 0:
                lit = lit * (~shadow)
            light_sum = light_sum + (0.75, 0.35)[k] * lit
            hv = [a + c for a, c in zip(to, view)]
            hl = sum(a * a for a in hv).sqrt().clamp(min=1e-6)
            shine = shine + (sum(a * c for a, c in zip(world, hv)) / hl).clamp(0, 1) ** 40 * (lit > 0)
        facing = sum(a * c for a, c in zip(world, view))
        return albedo * light_sum[..., None] + (gloss * shine)[..., None], relief * lift, world, facing, gloss * shine
