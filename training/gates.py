#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scores what the element writes (through rgbd-refine) beside the best classical filter, as Markdown.

    gates.py EVAL_DEPTH.PY ROOT OUT [--sets …] [--seeds 1 2 3 4 5] [--also VENDOR_FILTERS.PY] [--args …]

EVAL_DEPTH.PY: the project's evaluation script, which holds the noise, the classical filters and the measures. ROOT: pairs in
its layout (validation_set.py makes some). OUT: a folder for inputs and results. Sets:
  real            pairs that have a measured depth and a reference
  stereo sl tof   clean frames with the noise of that camera, mean over the seeds
  hold            measured depth with regions hidden, mean over the seeds
  shift           stereo noise of the first seed, the colour 1 to 6 pixels beside the depth: kept pixels against the reference
  phone           clean frames at 192x144 under the full-size colour, against the reference
Columns: ours / best classical filter (median for fly): ratio, of errors or of what is missing to 1; k measured pixels,
h holes, e within 5 px of depth edges. Where pairs have under 1 % measured, a second row leaves them out (of so many pairs and seeds). --args is handed to rgbd-refine ("--model FILE --input-size 240").
"""
import argparse
import importlib.util
import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

COLUMNS = (("kept", "absrel"), ("hole", "absrel"), ("hole", "d105"), ("edge", "d105"), ("misc", "fly"))
NOISE = ("stereo", "sl", "tof")
PASSES_THROUGH = 0.01    # less measured than this share: the shipped model leaves such a frame as it is


def evaluation_script(path):
    """EVAL_DEPTH.PY as a module."""
    spec = importlib.util.spec_from_file_location("eval_depth", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def refine(a, folder, inputs):
    """inputs/**/NN_{rgb,depth}.png to folder/**/NN.png."""
    for depth in sorted(inputs.rglob("*_depth.png")):
        out = folder / depth.relative_to(inputs).with_name(depth.name.replace("_depth", ""))
        out.parent.mkdir(parents=True, exist_ok=True)
        colour = depth.with_name(depth.name.replace("_depth", "_rgb"))
        done = subprocess.run([*a.program, "--input", colour, "--depth", depth, "--output", "", "--output-depth", out, "--device", "cpu",
                               *shlex.split(a.args)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{depth}: {done.stderr}")


def evaluate(a, options, name, methods=True):
    """The measures of raw, the classical filters and what OUT/name holds: {method: {pair: {zone: {measure: value}}}}."""
    result = a.out / f"{name}.json"
    subprocess.run([sys.executable, "-W", "ignore", a.eval, "--root", a.root, *options, "--pred", a.out / name, "--json", result,
                    *([] if methods else ["--methods", ""])], check=True, stdout=subprocess.DEVNULL)
    return json.loads(result.read_text())


def scores(a, kind, seed):
    options = ["--corrupt", kind, "--seed", str(seed)] if kind in NOISE else ["--holdout", "--seed", str(seed)] if kind == "hold" else []
    name = f"{kind}{seed}"
    inputs = a.out / "in" / name
    subprocess.run([sys.executable, "-W", "ignore", a.eval, "--root", a.root, *options, "--methods", "", "--dump-inputs", inputs],
                   check=True, stdout=subprocess.DEVNULL)
    refine(a, a.out / name, inputs)
    found = evaluate(a, options, name)
    for pair, zones in found["raw"].items():
        zones["measured"] = float((cv2.imread(str(inputs / f"{pair}_depth.png"), cv2.IMREAD_UNCHANGED) > 0).mean())
    if a.also:
        subprocess.run([sys.executable, a.also, inputs, a.out / f"{name}-also"], check=True, stdout=subprocess.DEVNULL)
        found["vendor"] = evaluate(a, options, f"{name}-also", methods=False)["pred"]
    return found


def mean(of_pairs, zone, measure):
    values = [(pair.get(zone) or {}).get(measure, math.nan) for pair in of_pairs.values()]
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


def averaged(runs):
    """{method: {(zone, measure): mean over the runs}}."""
    keys = (*COLUMNS, ("kept", "cov"), ("hole", "cov"), ("obj", "d105"))
    return {m: {k: float(np.mean([mean(run[m], *k) for run in runs])) for k in keys} for m in runs[0]}


def measured_enough(run):
    """The same scores without the pairs that pass through."""
    return {m: {pair: zones for pair, zones in pairs.items() if run["raw"][pair]["measured"] >= PASSES_THROUGH} for m, pairs in run.items()}


def cell(table, key):
    ours, zone_measure = table["pred"][key], key[1]
    if math.isnan(ours):
        return ""
    others = [v[key] for m, v in table.items() if m not in ("raw", "pred", "vendor")]
    if zone_measure == "d105":
        best = max(others)
        return f"{ours:.3f} / {best:.3f}: {(1 - ours) / (1 - best):.2f}"
    best = float(np.median(others)) if zone_measure == "fly" else min(others)
    return f"{ours:.4f} / {best:.4f}: {ours / best:.2f}"


def table(a):
    print("| set | " + " | ".join(f"{zone[0]}:{measure}" if zone != "misc" else measure for zone, measure in COLUMNS) + " | k:cov, h:cov |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    whole = {}
    for kind in (k for k in a.sets if k in (*NOISE, "hold", "real")):
        runs = [scores(a, kind, seed) for seed in (a.seeds if kind != "real" else [0])]
        whole[kind] = averaged(runs)
        rows = {kind: whole[kind]}
        enough = [measured_enough(run) for run in runs]
        pairs, left = (sum(len(run["raw"]) for run in some) for some in (runs, enough))
        if 0 < left < pairs:
            rows[f"{kind}, {left} of {pairs} (the others: under 1 % measured)"] = averaged([run for run in enough if run["raw"]])
        for name, row in rows.items():
            cells = [cell(row, key) if not (kind == "hold" and key[0] == "kept") else "" for key in COLUMNS]
            print(f"| {name} | " + " | ".join(cells) + f" | {row['pred']['kept', 'cov']:.3f}, {row['pred']['hole', 'cov']:.3f} |", flush=True)
    print("\n| set, method | " + " | ".join(f"{zone[0]}:{measure}" if zone != "misc" else measure for zone, measure in COLUMNS) + " | o:d105 |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for kind, methods in whole.items():
        for method, values in methods.items():
            row = [f"{values[key]:.4f}" if not math.isnan(values[key]) else "" for key in (*COLUMNS, ("obj", "d105"))]
            print(f"| {kind}, {'ours' if method == 'pred' else method} | " + " | ".join(row) + " |")


def kept_error(evaluation, measured, refined, reference):
    return evaluation.score(measured, refined, reference)["kept"]["absrel"]


def shift(a, evaluation):
    """Mean over the clean frames of kept absrel, ours over raw's, by how far the colour is off."""
    base = a.out / "in" / "shift0"
    subprocess.run([sys.executable, "-W", "ignore", a.eval, "--root", a.root, "--corrupt", "stereo", "--seed", str(a.seeds[0]), "--methods", "",
                    "--dump-inputs", base], check=True, stdout=subprocess.DEVNULL)
    cells = []
    for pixels in (0, 1, 2, 4, 6):
        inputs = a.out / "in" / f"shift{pixels}"
        ours, raw = [], []
        for depth in sorted(base.rglob("*_depth.png")):
            to = inputs / depth.relative_to(base)
            to.parent.mkdir(parents=True, exist_ok=True)
            colour = cv2.imread(str(depth).replace("_depth", "_rgb"))
            cv2.imwrite(str(to).replace("_depth", "_rgb"), np.pad(colour, ((0, 0), (pixels, 0), (0, 0)), "edge")[:, :colour.shape[1]])
            cv2.imwrite(str(to), cv2.imread(str(depth), cv2.IMREAD_UNCHANGED))
        refine(a, a.out / f"shift{pixels}", inputs)
        for depth in sorted(base.rglob("*_depth.png")):
            relative = depth.relative_to(base)
            truth = next(Path(a.root).joinpath(relative).parent.glob(relative.name.replace("_depth.png", "_gt.png")))
            measured = evaluation.load_depth(str(depth))
            reference = evaluation.up(evaluation.load_depth(str(truth)), measured.shape)
            refined = evaluation.load_depth(str(a.out / f"shift{pixels}" / relative).replace("_depth.png", ".png"))
            ours.append(kept_error(evaluation, measured, refined, reference))
            raw.append(kept_error(evaluation, measured, measured, reference))
        cells.append(f"{pixels} px: {np.mean(ours):.4f} / {np.mean(raw):.4f} = {np.mean(ours) / np.mean(raw):.2f}")
    print("\nColour beside the depth, k:absrel, ours / raw: " + "; ".join(cells), flush=True)


def phone(a, evaluation):
    inputs = a.out / "in" / "phone"
    frames = []
    for truth in sorted(Path(a.root).rglob("*_gt.png")):
        colour = next(truth.parent.glob(truth.name.replace("_gt.png", "_rgb.*")))
        if truth.with_name(truth.name.replace("_gt", "_depth")).exists():
            continue
        image = cv2.imread(str(colour))
        reference = evaluation.up(evaluation.load_depth(str(truth)), image.shape[:2])
        small = cv2.resize(reference, (192, 144), interpolation=cv2.INTER_NEAREST)    # no depth between fore- and background
        to = inputs / truth.relative_to(a.root).with_name(truth.name.replace("_gt", "_depth"))
        to.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(to).replace("_depth", "_rgb"), image)
        cv2.imwrite(str(to), np.round(small * 1000).astype(np.uint16))
        frames.append((to.relative_to(inputs), small, reference))
    refine(a, a.out / "phone", inputs)
    rows = []
    for relative, small, reference in frames:
        raw = evaluation.up(small, reference.shape)
        refined = evaluation.up(evaluation.load_depth(str(a.out / "phone" / relative).replace("_depth.png", ".png")), reference.shape)
        rows.append([(s["kept"]["absrel"], s["edge"]["d105"]) for s in (evaluation.score(raw, d, reference) for d in (refined, raw))])
    (k, e), (k_raw, e_raw) = np.mean(rows, 0)
    print(f"\nA phone's 192x144: k:absrel {k:.4f} / {k_raw:.4f} = {k / k_raw:.2f} of the raw depth enlarged, e:d105 {e:.3f} / {e_raw:.3f}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("eval")
    p.add_argument("root")
    p.add_argument("out", type=Path)
    p.add_argument("--sets", nargs="*", default=["real", *NOISE, "hold", "shift", "phone"])
    p.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3, 4, 5])
    p.add_argument("--also", metavar="VENDOR_FILTERS.PY", help="a program of IN OUT that refines a folder, for the second table")
    p.add_argument("--args", default="", help="options of rgbd-refine")
    p.add_argument("--program", type=shlex.split, default=["build/pipelines/rgbd-refine"])
    a = p.parse_args()
    evaluation = evaluation_script(a.eval)
    table(a)
    if "shift" in a.sets:
        shift(a, evaluation)
    if "phone" in a.sets:
        phone(a, evaluation)


if __name__ == "__main__":
    main()
