# SPDX-License-Identifier: Apache-2.0
"""Training samples on the device: a pool of rendered frames, re-cropped, re-coloured and re-measured at every use."""
import torch
import torch.nn.functional as F

from . import scenes, sensors
from .model_file import MEAN, STD
from .noise import NoiseBank
from .render import GLASS, Renderer
from .textures import mask_atlas, texture_atlas

# Share of a batch that each camera measures; batches take turns at the low-resolution factors.
CAMERAS = {"stereo": 0.30, "structured": 0.20, "tof": 0.18, "low": 0.18, "clean": 0.14}
FACTORS = (2.0, 2.5, 3.33, 4.0, 5.0, 6.67)
HALVES = 0.25    # share of crops of every other pixel: nearly what the vote on holes sees, a measured frame at half the size


def mirrored(at, size):
    """Places outside 0 … size - 1, those of the mirror image, in which the border is not repeated."""
    at = at % (2 * size - 2)
    return torch.minimum(at, 2 * size - 2 - at)


class Source:
    """Renders frames and serves batches; everything follows from the seed (and the device's arithmetic)."""

    def __init__(self, seed, device, pool, height=480, width=640, noise_fields=24, noise_size=1024, compiled=False, glass=0.15):
        self.gen = torch.Generator(device).manual_seed(seed)
        self.device, self.height, self.width, self.glass = torch.device(device), height, width, glass
        self.textures, self.masks = texture_atlas(self.gen), mask_atlas(self.gen)
        self.renderer = Renderer(self.textures, self.masks, kernel=self.device.type == "cuda")
        self.noise = NoiseBank(self.gen, noise_fields, noise_size, compiled)
        self.colour = torch.zeros(pool, height, width, 3, dtype=torch.uint8, device=device)
        self.depth = torch.zeros(pool, height, width, device=device)
        self.through = torch.zeros(pool, height, width, device=device)
        self.objects = torch.zeros(pool, height, width, dtype=torch.uint8, device=device)
        self.focal = torch.zeros(pool, device=device)
        self.filled, self.at, self.turn, self.batches = 0, 0, 0, 0
        names, weights = zip(*scenes.FAMILIES.items())
        self.schedule = self._spread(names, weights, 40)

    @staticmethod
    def _spread(names, weights, length):
        """A fixed order in which each name comes as often as its weight says."""
        owed, order = [0.0] * len(names), []
        for _ in range(length):
            owed = [o + w for o, w in zip(owed, weights)]
            best = owed.index(max(owed))
            owed[best] -= sum(weights)
            order.append(names[best])
        return order

    def render(self, count):
        """`count` new frames take the place of the oldest ones."""
        family = self.schedule[self.turn % len(self.schedule)]
        self.turn += 1
        # Every other time small things may be of glass.
        s = scenes.make(family, self.gen, count, self.textures.shape[0], self.masks.shape[0], self.width, self.glass * (self.turn % 2))
        colour, depth, objects, through = self.renderer(s, self.height, self.width)
        pool = self.colour.shape[0]
        where = (self.at + torch.arange(count, device=self.device)) % pool
        good = self.worth_keeping(depth)
        use = torch.where(good, torch.arange(count, device=self.device), good.float().argmax())    # else a neighbour again
        self.colour[where] = (colour[use] * 255).to(torch.uint8)
        self.depth[where], self.objects[where], self.focal[where] = depth[use], objects[use], s.focal[use]
        self.through[where] = through[use]
        self.at, self.filled = (self.at + count) % pool, min(pool, self.filled + count)

    @staticmethod
    def worth_keeping(depth):
        """[B] bool: frames that are not nearly all sky nor one surface at the lens. depth [B, H, W] metres."""
        return ((depth > 0).float().mean((1, 2)) >= 0.3) & (depth.flatten(1).amax(1) >= 0.2)

    def crops(self, count, height, width):
        """Colour [B, 3, h, w] 0..1, clean depth, objects, depth through glass [B, 1, h, w] and focal length. Some take every other pixel, and go
        on with the frame's mirror image beyond its border. Colour may be shifted against the rest: a registration error moves the picture,
        never depth against its truth."""
        gen, dev = self.gen, self.device
        rand = lambda *s: torch.rand(count, *s, generator=gen, device=dev)
        below = lambda top: (rand(1, 1) * top).long()
        frame = below(max(self.filled, 1))
        every = torch.where(rand(1, 1) < HALVES, 2, 1)
        y0, x0 = (below((size - every * (crop - 1)).clamp(min=1)) for size, crop in ((self.height, height), (self.width, width)))
        row, column = torch.arange(height, device=dev)[None, :, None], torch.arange(width, device=dev)[None, None, :]
        row = torch.where(rand(1, 1) < 0.2, height - 1 - row, row) * every + y0
        column = torch.where(rand(1, 1) < 0.5, width - 1 - column, column) * every + x0
        shift = torch.where(rand(1, 1) < 0.45, 0, rand(1, 1) ** 2 * 8.5)
        angle = rand(1, 1) * 6.283
        stretch = torch.where(rand(1, 1) < 0.2, (rand(1, 1) - 0.5) * 0.016, 0.0)
        def place(at, top, offset):
            middle = at.double().mean((1, 2), keepdim=True)
            return mirrored(((at - middle) * (1 + stretch) + middle + offset).round().long(), top)
        crow = place(row, self.height, shift * angle.sin())
        ccol = place(column, self.width, shift * angle.cos())
        at = (frame * self.height + mirrored(row, self.height)) * self.width + mirrored(column, self.width)
        cat = (frame * self.height + crow) * self.width + ccol
        colour = self.colour.view(-1, 3)[cat].permute(0, 3, 1, 2).float() / 255
        pick = lambda x: x.view(-1)[at][:, None]
        return colour, pick(self.depth), pick(self.objects), pick(self.through), (self.focal[frame.flatten()] / every.flatten()).view(-1, 1, 1, 1)

    def photograph(self, colour, draw):
        """Camera effects on colour: optics, exposure, white balance, tone, noise, swapped or missing channels."""
        b, _, h, w = colour.shape
        p = draw()
        colour = torch.where(p < .5, sensors.blur(colour, 0.6, 2), torch.where(p < .85, sensors.blur(colour, 1.0, 3), sensors.blur(colour, 2.0, 5)))
        balance = torch.exp(torch.randn(b, 3, 1, 1, generator=self.gen, device=colour.device) * 0.12)
        colour = (colour * draw.log(0.5, 1.8) * balance).clamp(0, 1)
        colour = colour.clamp(min=1e-4) ** draw.log(0.5, 1.4)
        row, column = sensors.pixel_grid(colour)
        r2 = ((row / h - .5) ** 2 + (column / w - .5) ** 2)
        colour = colour * (1 - draw(0, 0.5) * r2)
        white = torch.randn(colour.shape, generator=self.gen, device=colour.device)
        colour = colour + white * (draw(0, 0.03) + draw(0, 0.04) * colour.sqrt())
        grain = torch.cat([self.noise(1.2, b, h, w) for _ in range(3)], 1)
        colour = colour + grain * draw(0, 0.02)
        grey = colour.mean(1, keepdim=True)
        colour = torch.where(draw.chance(0.1), grey, colour)
        colour = torch.where(draw.chance(0.15), colour.flip(1), colour)
        colour = torch.where(draw.chance(0.04), torch.full_like(colour, 0.5), colour)
        return (colour.clamp(0, 1) * 255).round() / 255

    def batch(self, count, height, width):
        """x [B, 4, h, w] (network input), truth [B, 1, h, w] (inverse depth, 0 = unknown) and where it is glass, bool."""
        colour, depth, objects, through, focal = self.crops(count, height, width)
        scale = torch.exp((torch.rand(count, 1, 1, 1, generator=self.gen, device=self.device) - 0.5) * 0.7)
        depth = depth * scale                      # other sizes of world for the same noise
        grey = colour.mean(1, keepdim=True)
        draw = sensors.Draw(self.gen, count)
        through = through * scale
        passes = sensors.seen_through(self.noise, draw, depth, through, objects)
        solid = torch.where(passes, through, depth)
        solid = torch.where(solid > 0, solid, 30.0)
        sizes = {name: int(share * count) for name, share in CAMERAS.items()}
        sizes["stereo"] += count - sum(sizes.values())
        parts, start = [], 0
        for name, n in sizes.items():
            z, g, f = solid[start:start + n], grey[start:start + n], focal[start:start + n]
            draw = sensors.Draw(self.gen, n)
            if n == 0:
                continue
            if name in ("stereo", "structured"):
                parts.append(sensors.triangulation(self.noise, draw, z, g, f, name == "structured"))
            elif name == "tof":
                parts.append(sensors.time_of_flight(self.noise, draw, z, g, f))
            elif name == "clean":
                parts.append(sensors.clean_or_sparse(self.noise, draw, z))
            else:
                self.batches += 1
                factor = FACTORS[self.batches % len(FACTORS)]
                parts.append(sensors.low_resolution(self.noise, draw, z, g, f, factor))
            start += n
        draw = sensors.Draw(self.gen, count)
        raw = sensors.losses(self.noise, draw, torch.cat(parts), objects)
        raw = torch.where(depth > 0, raw, 0)
        steps = torch.where(draw.chance(0.8), 1000.0, 10000.0)
        raw = (raw * steps).round() / steps
        few = (raw > 0).float().mean((1, 2, 3), keepdim=True) < 0.03    # no scale left: give the frame its depth back
        raw = torch.where(few, depth, raw)
        colour = (self.photograph(colour, draw) - MEAN) / STD
        inverse = lambda d: torch.where(d > 0, 1 / d.clamp(min=1e-3), 0)
        # What is measured through glass stays so in the output: nothing to learn there.
        truth = torch.where(passes & (raw > 0) & ~few, 0, depth)
        return torch.cat([colour, inverse(raw)], 1), inverse(truth), objects > GLASS
