# SPDX-License-Identifier: Apache-2.0
"""Random layouts of primitives: rooms, table tops, cards, thin things, long range. All scenes of a batch share a family."""
import math

import torch

from .render import BOX, CARD, CYLINDER, ELLIPSOID, ROOM, Scenes

FAMILIES = {"room": 0.34, "table": 0.28, "glassware": 0.05, "cards": 0.12, "thin": 0.11, "long": 0.10}


class Layout:
    """Collects primitives for `count` scenes; every random draw comes from `gen`."""

    def __init__(self, gen, count, textures, masks, glass=0.0):
        self.gen, self.count, self.dev = gen, count, gen.device
        self.textures, self.masks, self.glass = textures, masks, glass
        self.kinds, self.parts = [], []

    def rand(self, *shape, low=0.0, high=1.0):
        """Uniform [count, *shape]."""
        return low + (high - low) * torch.rand(self.count, *shape, generator=self.gen, device=self.dev)

    def log(self, *shape, low, high):
        return torch.exp(self.rand(*shape, low=math.log(low), high=math.log(high)))

    def turns(self, n, kind):
        """Rotations [count, n, 3, 3]: 'none', 'yaw', 'any', or 'tilt' (facing ±z, leaning a little)."""
        if kind == "none":
            return torch.eye(3, device=self.dev).expand(self.count, n, 3, 3)
        a = self.rand(n, high=2 * math.pi)
        if kind == "yaw":
            zero, one = torch.zeros_like(a), torch.ones_like(a)
            return torch.stack([a.cos(), zero, a.sin(), zero, one, zero, -a.sin(), zero, a.cos()], -1).view(self.count, n, 3, 3)
        v = torch.randn(self.count, n, 4, generator=self.gen, device=self.dev)
        if kind == "tilt":
            v = v * 0.25
            v[..., 0], v[..., 3] = (a / 2).cos() * 1.0, (a / 2).sin() * 1.0
        w, x, y, z = (v / v.norm(dim=-1, keepdim=True)).unbind(-1)
        return torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
                            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1).view(self.count, n, 3, 3)

    def add(self, kind, centre, half, turn="none", present=1.0, grain=(0.4, 6.0), relief=0.0, masks=None, taper=None, glass=None):
        """n primitives of a kind. centre, half [count, n, 3]; `present` = chance that each is there. `glass` [count, n] bool:
        which are of glass; else some of the small ones."""
        n = centre.shape[1]
        turn = self.turns(n, turn) if isinstance(turn, str) else turn
        gone = self.rand(n) >= present
        centre = torch.where(gone[..., None], centre.new_tensor([0.0, -900.0, 0.0]), centre)
        low, high = masks or (0, self.masks)
        draw = lambda top, bottom=0: (bottom + (self.rand(n) * (top - bottom))).long()
        same = self.rand(1) < 0.15                                  # same texture everywhere: edges without colour
        texture = torch.where(same, draw(self.textures)[:, :1], draw(self.textures))
        bumpy = (self.rand(n) < 0.35) * relief * self.rand(n)
        taper = self.rand(n) * 0.7 if taper is None else taper
        if glass is None:
            glass = (self.rand(n) < self.glass) & (half.amax(-1) < 0.4)
        self.kinds += [kind] * n
        self.parts.append([centre, half.clamp(min=1e-4), turn, taper, texture, draw(high, low),
                           self.log(n, low=grain[0], high=grain[1]), self.rand(n) ** 3, bumpy, glass])

    def scatter(self, kind, n, area, size, base=0.0, turn="yaw", present=0.7, resting=True, **more):
        """n primitives over a rectangle (half sides `area`, [count, 1] or number), standing on height `base`."""
        half = self.log(n, 1, low=size[0], high=size[1]) * self.log(n, 3, low=0.4, high=1.6)
        ax, az = area
        x, z = self.rand(n, low=-1, high=1) * ax, self.rand(n, low=-1, high=1) * az
        y = base + (half[..., 1] if resting else self.rand(n) * 1.5)
        self.add(kind, torch.stack([x, y.expand_as(x), z], -1), half, turn, present, **more)

    def scenes(self, eye, target, field, width, lights):
        """Camera at `eye` [count, 3] looking at `target`, horizontal field of view `field` [count] radians."""
        forward = torch.nn.functional.normalize(target - eye, dim=-1)
        roll = self.rand() * 0.5 - 0.25
        up = torch.tensor([0.0, 1.0, 0.0], device=self.dev).expand_as(forward) + 1e-3
        right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
        down = torch.linalg.cross(forward, right)
        c, s = roll.cos()[:, None], roll.sin()[:, None]
        right, down = c * right + s * down, c * down - s * right
        focal = width / 2 / torch.tan(field / 2)
        *parts, glass = [torch.cat(p, 1) for p in zip(*self.parts)]
        return Scenes(self.kinds, *parts, glass if self.glass else None, eye, torch.stack([right, down, forward], -1),
                      focal, lights, self.rand(low=0.2, high=0.7))


def stack(*v):
    """Coordinates (tensors or numbers) to vectors, broadcast against each other."""
    like = next(x for x in v if torch.is_tensor(x))
    return torch.stack(torch.broadcast_tensors(*(x if torch.is_tensor(x) else like.new_tensor(x) for x in v)), -1)


def bottles(l, n, area, clear=0.7):
    """n bottles, glasses and jars, standing or lying, some with a stopper, a share `clear` of them of glass: body, shoulder,
    neck and stopper are primitives of their own, so a camera that loses one of them may still measure the next."""
    x, z = l.rand(n, low=-1, high=1) * area, l.rand(n, low=-1, high=1) * area
    radius = l.log(n, low=.018, high=.05)
    body, shoulder, neck, top = (radius * l.rand(n, low=a, high=b) for a, b in ((1.0, 3.2), (.15, .6), (.1, .6), (.1, .25)))
    angle, lying = l.rand(n, high=2 * math.pi), l.rand(n) < .25
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    along, across, up = stack(angle.cos(), zero, angle.sin()), stack(-angle.sin(), zero, angle.cos()), stack(zero, one, zero)
    axis = torch.where(lying[..., None], along, up)
    turn = torch.stack([torch.where(lying[..., None], up, along), axis, across], -2)
    base = stack(x, torch.where(lying, radius, zero), z)
    glass = (l.rand(n) < clear) & (l.glass > 0)
    here, open_ = l.rand(n) < .6, l.rand(n) < .3                       # open: a drinking glass or jar, of a body alone
    base = torch.where(here[..., None], base, base.new_tensor([0.0, -900.0, 0.0]))
    narrow = l.rand(n, low=.3, high=.7)
    def part(kind, wide, high, start, there, taper, glass):
        centre = torch.where(there[..., None], base + axis * (start + high)[..., None], base.new_tensor([0.0, -900.0, 0.0]))
        l.add(kind, centre, stack(wide, high, wide), turn, taper=taper, glass=glass)
    slim = l.rand(n) ** 3 * .4
    wide = radius * (1 - slim)
    square = n // 3
    for kind, which in ((BOX, slice(0, square)), (CYLINDER, slice(square, n))):
        centre = (base + axis * body[..., None])[:, which]
        l.add(kind, centre, stack(radius, body, radius)[:, which], turn[:, which], taper=slim[:, which], glass=glass[:, which])
    part(CYLINDER, wide, shoulder, 2 * body, ~open_, 1 - narrow, glass)
    part(CYLINDER, wide * narrow, neck, 2 * (body + shoulder), ~open_, zero, glass)
    stopped = ~open_ & (l.rand(n) < .4)
    part(CYLINDER, wide * narrow * 1.1, top, 2 * (body + shoulder + neck), stopped, zero, torch.zeros_like(glass))


def furniture(l, hx, hz):
    """Tables with legs and things on them, shelves and chair-like slats, on a floor of half sides hx, hz."""
    for _ in range(2):
        x, z = l.rand(1, low=-0.7, high=0.7) * hx, l.rand(1, low=-0.7, high=0.7) * hz
        w, d, h = l.rand(1, low=.3, high=.9), l.rand(1, low=.25, high=.6), l.rand(1, low=.4, high=1.0)
        l.add(BOX, stack(x, h - .02, z), stack(w, w * 0 + .02, d), present=1)
        leg = torch.tensor([[-1., -1], [-1, 1], [1, -1], [1, 1]], device=l.dev) * 0.93
        l.add(BOX, stack(x + leg[:, 0] * w, h / 2 - .02, z + leg[:, 1] * d),
              stack(l.rand(1, low=.01, high=.04), h / 2, l.rand(1, low=.01, high=.04)).expand(-1, 4, 3))
        for kind in (BOX, CYLINDER, ELLIPSOID):
            n = 3
            half = l.log(n, 3, low=.02, high=.2)
            l.add(kind, stack(x + l.rand(n, low=-.9, high=.9) * w, h + half[..., 1], z + l.rand(n, low=-.9, high=.9) * d),
                  half, "yaw", .8, relief=.004)
    x, z, gap = l.rand(1, low=-.6, high=.6) * hx, l.rand(1, low=-.9, high=.9) * hz, l.rand(1, low=.08, high=.4)
    k = torch.arange(7, device=l.dev)[None].float()
    l.add(BOX, stack(x, .1 + k * gap, z), stack(l.rand(1, low=.2, high=.7), gap * 0 + .012, l.rand(1, low=.02, high=.25)).expand(-1, 7, 3), present=.9)
    x, z = l.rand(1, low=-.7, high=.7) * hx, l.rand(1, low=-.7, high=.7) * hz
    l.add(BOX, stack(x + (k - 3) * l.rand(1, low=.05, high=.12), .75, z), stack(l.rand(1, low=.008, high=.025), gap * 0 + .3, gap * 0 + .012).expand(-1, 7, 3))


def room(l, width):
    hx, hy, hz = l.rand(1, low=1, high=4.5), l.rand(1, low=1.15, high=1.8), l.rand(1, low=1, high=4.5)
    l.add(ROOM, stack(hx * 0, hy, hx * 0), stack(hx, hy, hz), grain=(.2, 3))
    furniture(l, hx, hz)
    l.scatter(BOX, 8, (hx, hz), (.08, .5))
    l.scatter(CYLINDER, 4, (hx, hz), (.05, .35))
    l.scatter(ELLIPSOID, 5, (hx, hz), (.06, .5), relief=.012)
    l.scatter(CARD, 4, (hx, hz), (.15, .6), base=.4, resting=False)
    l.scatter(CYLINDER, 3, (hx, hz), (.004, .02), resting=False, turn="any")
    # Posters: strong texture, no depth edge to speak of.
    side = torch.where(l.rand(4) < .5, -1.0, 1.0)
    l.add(BOX, stack(l.rand(4, low=-.9, high=.9) * hx, hy + l.rand(4, low=-.5, high=.5), side * hz),
          stack(l.rand(4, low=.1, high=.6), l.rand(4, low=.1, high=.5), hx * 0 + .004), grain=(1, 8))
    eye = stack(l.rand(low=-.8, high=.8) * hx[:, 0], l.rand(low=.4, high=1.9).minimum(2 * hy[:, 0] - .2), l.rand(low=-.85, high=.85) * hz[:, 0])
    target = stack(l.rand(low=-.7, high=.7) * hx[:, 0], l.rand(low=.1, high=1.3), l.rand(low=-.8, high=.8) * hz[:, 0])
    lights = stack(l.rand(2, low=-.9, high=.9) * hx, l.rand(2, low=1.2, high=1.9) * hy, l.rand(2, low=-.9, high=.9) * hz)
    return l.scenes(eye, target, l.rand(low=.8, high=1.6), width, lights)


def table(l, width, thin=False):
    zero = l.rand(1) * 0
    l.add(ROOM, stack(zero, zero + .5, zero), stack(l.rand(1, low=.9, high=3), zero + 1.3, l.rand(1, low=.9, high=3)), grain=(.2, 3))
    area = l.log(1, low=.12, high=.6)
    big = l.rand(1, low=1.1, high=2.5) * area
    l.add(BOX, stack(zero, zero - .02, zero), stack(big, zero + .02, big * l.rand(1, low=.6, high=1)), "yaw", grain=(.5, 8))
    size = (.012, .12)
    for kind, n in ((BOX, 7), (CYLINDER, 7), (ELLIPSOID, 7)):
        l.scatter(kind, n, (area, area), size, present=.75, relief=.004)
        l.scatter(kind, 3, (area, area), size, turn="any", present=.6)
    bottles(l, 6, area)
    wall, height = l.rand(1) < .35, l.rand(1, low=.03, high=.15)       # an open bin
    for sx, sz in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        centre = stack(sx * area * 1.15, torch.where(wall, height, zero - 90), sz * area * 1.15)
        l.add(BOX, centre, stack(area * 1.15 * abs(sz) + .004, height, area * 1.15 * abs(sx) + .004))
    if thin:
        l.scatter(CYLINDER, 12, (area, area), (.0012, .004), turn="any", resting=False, base=-.05)
        for m in (12,):
            half = torch.cat([l.log(m, 1, low=.001, high=.004), l.rand(m, 1, low=.05, high=.35), l.log(m, 1, low=.001, high=.004)], -1)
            at = l.rand(m, 3, low=-1, high=1) * area[..., None]
            at[..., 1] = half[..., 1]
            l.add(CYLINDER, at, half, "any", .8)
        l.scatter(CARD, 4, (area, area), (.08, .3), turn="any", base=.1, resting=False, masks=(l.masks * 3 // 4, l.masks))
    l.scatter(CARD, 3, (area, area), (.03, .12), turn="any", base=.05, present=.5)
    distance, pitch, round_ = l.rand(low=1.3, high=3.2) * area[:, 0] + .15, l.rand(low=.3, high=1.5), l.rand(high=6.28)
    target = stack(l.rand(low=-.4, high=.4) * area[:, 0], l.rand() * .1, l.rand(low=-.4, high=.4) * area[:, 0])
    eye = target + distance[:, None] * stack(pitch.cos() * round_.cos(), pitch.sin(), pitch.cos() * round_.sin())
    lights = stack(l.rand(2, low=-1.2, high=1.2), l.rand(2, low=.7, high=1.6), l.rand(2, low=-1.2, high=1.2))
    return l.scenes(eye, target, l.rand(low=.7, high=1.3), width, lights)


def glassware(l, width):
    """Bottles that fill the view, on a table or floor, a wall close behind, a few other things among them."""
    zero = l.rand(1) * 0
    area = l.log(1, low=.12, high=.35)
    l.add(ROOM, stack(zero, zero + .8, zero), stack(area * l.rand(1, low=1.5, high=6), zero + .8, area * l.rand(1, low=1.5, high=6)), grain=(.1, 3))
    bottles(l, 10, area, clear=.9)
    for kind in (BOX, CYLINDER, ELLIPSOID):
        l.scatter(kind, 2, (area, area), (.015, .1), present=.5, relief=.004)
    distance, pitch, round_ = l.rand(low=1.2, high=2.4) * area[:, 0] + .15, l.rand(low=.15, high=1.2), l.rand(high=6.28)
    target = stack(l.rand(low=-.4, high=.4) * area[:, 0], l.rand() * .12, l.rand(low=-.4, high=.4) * area[:, 0])
    eye = target + distance[:, None] * stack(pitch.cos() * round_.cos(), pitch.sin(), pitch.cos() * round_.sin())
    lights = stack(l.rand(2, low=-1.2, high=1.2), l.rand(2, low=.7, high=1.5), l.rand(2, low=-1.2, high=1.2))
    return l.scenes(eye, target, l.rand(low=.7, high=1.3), width, lights)


def cards(l, width):
    zero = l.rand(1) * 0
    depth = l.log(1, low=.8, high=5)
    l.add(BOX, stack(zero, zero, depth + .5), stack(zero + 30, zero + 30, zero + .2), l.turns(1, "tilt"), grain=(.1, 4))
    n = 26
    z = depth * l.rand(n, low=.3, high=.98)
    half = z[..., None] * l.log(n, 3, low=.04, high=.35)
    at = stack(l.rand(n, low=-.8, high=.8) * z, l.rand(n, low=-.6, high=.6) * z, z)
    l.add(CARD, at, half, "tilt", .6, grain=(.3, 6), relief=.01)
    n = 4
    for kind in (ELLIPSOID, BOX, CYLINDER):
        z = depth * l.rand(n, low=.4, high=.95)
        l.add(kind, stack(l.rand(n, low=-.8, high=.8) * z, l.rand(n, low=-.6, high=.6) * z, z), z[..., None] * l.log(n, 3, low=.03, high=.2),
              "any", .6, relief=.01)
    eye = l.rand(3) * 0
    lights = stack(l.rand(2, low=-2, high=2), l.rand(2, low=0, high=2), zero - .5)
    return l.scenes(eye, eye + torch.tensor([0., 0., 1.], device=l.dev), l.rand(low=.7, high=1.5), width, lights)


def long(l, width):
    zero = l.rand(1) * 0
    l.add(BOX, stack(zero, zero - .5, zero), stack(zero + 60, zero + .5, zero + 60), grain=(.05, 1.5))
    hall = l.rand(1) < .5
    w = l.rand(1, low=1.2, high=6)
    for side in (-1, 1):
        l.add(BOX, stack(torch.where(hall, side * (w + .3), zero + 500), zero + 2, zero), stack(zero + .3, l.rand(1, low=1, high=3), zero + 60), grain=(.1, 2))
    for kind, n, size in ((BOX, 16, (.15, 2.0)), (CYLINDER, 8, (.08, .8)), (ELLIPSOID, 6, (.2, 1.2)), (CARD, 6, (.3, 2))):
        half = l.log(n, 1, low=size[0], high=size[1]) * l.log(n, 3, low=.5, high=2)
        z = l.log(n, low=2, high=25)
        l.add(kind, stack(l.rand(n, low=-.7, high=.7) * z, half[..., 1], z), half, "yaw", .7, grain=(.2, 3))
    l.add(BOX, stack(zero, zero + 3, l.rand(1, low=6, high=40)), stack(zero + 30, l.rand(1, low=1, high=5), zero + .5), present=.5, grain=(.1, 2))
    eye = stack(zero[:, 0], l.rand(low=.4, high=2), zero[:, 0])
    target = stack(l.rand(low=-2, high=2), l.rand(low=0, high=1.5), zero[:, 0] + 8)
    lights = stack(l.rand(2, low=-10, high=10), l.rand(2, low=4, high=12), l.rand(2, low=-5, high=15))
    return l.scenes(eye, target, l.rand(low=.8, high=1.6), width, lights)


def make(family, gen, count, textures, masks, width, glass=0.0):
    """`count` scenes of a family; `glass`: share of small things of glass (0: none, and no bottle is, but in "glassware")."""
    l = Layout(gen, count, textures, masks, max(glass, 0.1) if family == "glassware" else glass)
    if family == "thin":
        return table(l, width, thin=True)
    return {"room": room, "table": table, "glassware": glassware, "cards": cards, "long": long}[family](l, width)
