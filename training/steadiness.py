#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How steady refined depth is over time, and whether things that move leave trails: a table, of what the element writes.

    meson devenv -C build .venv-train/bin/python training/steadiness.py          (with their whole paths)
    ... steadiness.py --pairs IN        the same of still pairs under changing noise: IN/<seed>/<set>/<nn>_{rgb,depth}.png
    ... steadiness.py --sequence IN EVAL_DEPTH.PY       the same of clean frames IN/rgb/NN.*, IN/depth/NN.png under the noise of that script,
                                    which draws the camera anew in each frame, too: its amount, its resolution

flicker: median over pixels of the temporal standard deviation of depth, over depth. Where the scene moves, of the error:
depth less the true depth of its moment. Only pixels that the sensor measured in every frame count, for raw and refined alike.
trail: mean of |depth - truth| / truth, all frames but the first, within 5 px of a moving depth edge: where two true neighbours
differ by more than 5 % in this frame or the one before, but not in both. absrel: the same everywhere. Both on pixels that
raw measured and every refined depth has. Raw is in metres' share, refined as a multiple of raw.
"""
import argparse
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from gates import evaluation_script

SEQUENCE_SEED = 7    # of the noise of --sequence, beside the frame's number
SENSORS = ("stereo", "structured-light", "tof", "none")
MOTIONS = ("none", "objects", "camera", "both")
WIDTH, HEIGHT = 640, 480


def read_raw(path):
    return np.fromfile(path, "<u2").reshape(-1, HEIGHT, WIDTH)


def generated(folder, sensor, motion, seed, frames, speed, properties):
    """Raw, true and refined steps [frames, HEIGHT, WIDTH] of the test source's camera."""
    files = {name: folder / f"{name}.raw" for name in ("depth", "truth", "refined")}
    # The source moves by 1/30 s a frame at any rate.
    size = f"video/x-raw,width={WIDTH},height={HEIGHT},framerate=30/1 ! videorate drop-only=true ! video/x-raw,framerate=30/{speed}"
    pipeline = f"""
        rgbdtestsrc name=s sensor={sensor} motion={motion} seed={seed} num-buffers={frames * speed}
        rgbdrefine name=r leaky=none qos=false {properties} ! video/x-raw,format=GRAY16_LE ! filesink location={files["refined"]}
        s.rgb ! queue ! {size} ! queue ! r.rgb
        s.depth ! queue ! {size} ! tee name=t ! queue ! r.depth
        t. ! queue ! filesink location={files["depth"]}
        s.truth ! queue ! {size} ! filesink location={files["truth"]}"""
    subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], check=True)
    raw, truth, refined = (read_raw(files[name]) for name in ("depth", "truth", "refined"))
    if not len(raw) == len(truth) == len(refined) or abs(len(raw) - frames) > 1:  # videorate may make one less or more
        raise SystemExit(f"{frames} frames were asked for; {len(raw)}, {len(truth)} and {len(refined)} came")
    return raw, truth, refined


def through_the_program(folder, pairs, temporal):
    """Raw and refined steps of pairs, as a sequence."""
    for n, (rgb, depth) in enumerate(pairs):
        for kind, path in (("rgb", rgb), ("depth", depth)):
            link = folder / f"{kind}_{n:05d}{path.suffix}"
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
    subprocess.run(["rgbd-refine", "--input", folder / f"rgb_%05d{pairs[0][0].suffix}", "--depth", folder / "depth_%05d.png",
                    "--output", "", "--output-depth", folder / "refined_%05d.png", "--temporal", str(temporal)],
                   check=True, stdout=subprocess.DEVNULL)
    refined = np.stack([cv2.imread(str(folder / f"refined_{n:05d}.png"), cv2.IMREAD_UNCHANGED) for n in range(len(pairs))])
    raw = [cv2.imread(str(depth), cv2.IMREAD_UNCHANGED) for _, depth in pairs]
    size = refined.shape[:0:-1]
    return np.stack([cv2.resize(d, size, interpolation=cv2.INTER_NEAREST) for d in raw]), refined


def noisy(folder, clean, script, kind):
    """[(colour, depth file)] of the clean frames' folder under noise of a kind, and the true steps [frames, H, W] of colour's size."""
    steps = lambda metres: (np.clip(metres, 0, 65) * 1000).round().astype(np.uint16)
    numbered = lambda kind: {int(path.stem): path for path in clean.glob(f"{kind}/*")}
    colours, depths = numbered("rgb"), numbered("depth")
    if not colours or colours.keys() != depths.keys():
        raise SystemExit(f"{clean}: wants rgb/NN.* and depth/NN.png of the same numbers")
    pairs, truth = [], []
    for n in sorted(colours):
        colour = cv2.imread(str(colours[n]))
        z = script.up(script.load_depth(str(depths[n])), colour.shape[:2])
        measured, _ = script.corrupt(z, colour, np.random.default_rng([n, SEQUENCE_SEED]), kind)
        pairs.append((colours[n], folder / f"noisy_{n:05d}.png"))
        cv2.imwrite(str(pairs[-1][1]), steps(measured))
        truth.append(steps(z))
    return pairs, np.stack(truth)


def flicker(steps, truth, pixels):
    """Median over `pixels` of the deviation over time of steps - truth, over depth."""
    error = steps[:, pixels].astype(np.float32) - truth[:, pixels]
    return float(np.median(error.std(0) / truth[:, pixels].mean(0)))


def edges(truth):
    """Pixels of which the right or the lower neighbour is more than 5 % nearer or farther."""
    z = truth.astype(np.float32)
    edge = np.zeros(z.shape, bool)
    edge[:, :-1] |= np.maximum(z[:, 1:], z[:, :-1]) > 1.05 * np.minimum(z[:, 1:], z[:, :-1])
    edge[:-1] |= np.maximum(z[1:], z[:-1]) > 1.05 * np.minimum(z[1:], z[:-1])
    return edge


def moving_zones(truth):
    """[frames - 1, HEIGHT, WIDTH], of the second frame on."""
    found = [edges(z) for z in truth]
    window = np.ones((11, 11), np.uint8)
    return np.stack([cv2.dilate((a ^ b).astype(np.uint8), window) > 0 for a, b in zip(found, found[1:])])


def absrel(steps, truth, where):
    return float(np.mean(np.abs(steps[where].astype(np.float32) - truth[where]) / truth[where])) if where.any() else np.nan


def cells(values):
    """Raw as it is, the others as multiples of it."""
    raw, *others = values
    return [f"{raw:.5f}", *(f"{v / raw:.2f}" for v in others)] if raw > 0 else ["-"] * len(values)


def row(raw, truth, refined):
    """Flicker, trail and error of raw and of each of `refined`; truth None: a still scene of unknown depth."""
    measured = (raw > 0).all(0) & np.all([(r > 0).all(0) for r in refined], 0)
    every = [raw, *refined]
    if truth is None:
        return [[flicker(s, np.broadcast_to(raw.mean(0), raw.shape), measured) for s in every]]
    later = slice(1, None)
    common = (truth > 0) & (raw > 0) & np.all([r > 0 for r in refined], 0)
    zones = moving_zones(truth) & common[later]
    return [[flicker(s, truth, measured) for s in every],
            [absrel(s[later], truth[later], zones) for s in every],
            [absrel(s, truth, common) for s in every]]


def heading(name, measures, temporals):
    columns = [name] + [f"{m}, {what}" for m in measures for what in ("raw", *(f"temporal={t}" for t in temporals))]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))


def print_row(name, measures):
    print("| " + " | ".join([name, *(cell for values in measures for cell in cells(values))]) + " |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = p.add_mutually_exclusive_group()
    given.add_argument("--pairs", metavar="IN", type=Path, help="folder of still pairs instead of generated sequences")
    given.add_argument("--sequence", nargs=2, metavar=("IN", "EVAL_DEPTH.PY"), type=Path, help="folder of clean frames instead of generated sequences")
    p.add_argument("--temporal", nargs="+", default=["0", "0.6"], metavar="T", help="values of the property to compare")
    p.add_argument("--sensors", nargs="+", default=SENSORS[:3], choices=SENSORS)
    p.add_argument("--motions", nargs="+", default=MOTIONS, choices=MOTIONS)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--frames", type=int, default=30)
    p.add_argument("--speed", type=int, default=1, help="take every Nth frame of the source: all moves N times as fast")
    p.add_argument("--keep", metavar="FOLDER", type=Path, help="keep the sequences as FOLDER/<sensor>_<motion>.npz")
    a = p.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if a.pairs:
            views = defaultdict(list)
            for rgb in sorted(a.pairs.glob("*/*/*_rgb.*")):
                depth = rgb.with_name(rgb.name[:rgb.name.rindex("_rgb.")] + "_depth.png")
                views[f"{rgb.parent.name}/{depth.name[:-len('_depth.png')]}"].append((rgb, depth))
            heading("view", ["flicker"], a.temporal)
            for view, pairs in views.items():
                results = [through_the_program(folder, pairs, t) for t in a.temporal]
                print_row(view, row(results[0][0], None, [refined for _, refined in results]))
                for path in folder.iterdir():
                    path.unlink()
            return
        heading("sensor, what moves", ["flicker", "trail", "absrel"], a.temporal)
        if a.sequence:
            clean, script = a.sequence[0], evaluation_script(a.sequence[1])
            for kind in ("stereo", "sl", "tof"):
                pairs, truth = noisy(folder, clean, script, kind)
                results = [through_the_program(folder, pairs, t) for t in a.temporal]
                print_row(f"{kind}, as in the sequence", row(results[0][0], truth, [refined for _, refined in results]))
            return
        for sensor in a.sensors:
            for motion in a.motions:
                results = [generated(folder, sensor, motion, a.seed, a.frames, a.speed, f"temporal={t}") for t in a.temporal]
                raw, truth, _ = results[0]
                refined = [r for *_, r in results]
                print_row(f"{sensor}, {motion}", row(raw, truth, refined))
                if a.keep:
                    a.keep.mkdir(parents=True, exist_ok=True)
                    np.savez(a.keep / f"{sensor}_{motion}.npz", raw=raw, truth=truth, **dict(zip(a.temporal, refined)))


if __name__ == "__main__":
    main()
