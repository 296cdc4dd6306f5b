#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of README's section "Performance", in Markdown, from what the benchmarks printed.

    bench_table.py RESULTS.jsonl... [--kernels N]

Of lines that measure the same, the last one counts. What was not measured is an empty cell. --kernels: how many rows of
each profile (default: 12).
"""
import argparse
import json
import sys

ENCODERS = ("vitl", "vitb", "vits", "vitg", "")     # "": the embedded model
PRECISIONS = ("fp32", "fp16", "bf16")


def read(paths):
    lines = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            lines += [json.loads(line) for line in file if line.startswith("{")]
    for line in lines:
        if "error" in line:
            print(f"bench_table: {line['stage']} {line.get('variant', '')}: {line['error']}", file=sys.stderr)
    return [line for line in lines if "error" not in line]


def device(line):
    if line["device"].startswith("cuda"):
        return f"CUDA, {line['hardware']}"
    return f"{line['device'].upper()}, {line['hardware']}" + (f", {line['threads']} threads" if "threads" in line else "")


def network(line):
    return line.get("encoder") or "embedded"


def number(value, digits=3):
    """As many digits as say something: three."""
    if value is None:
        return ""
    if value >= 10 ** digits:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def table(title, heads, rows):
    if not rows:
        return
    print(f"\n{title}\n")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")


class Results:
    def __init__(self, lines):
        self.lines = lines
        self.ours, self.peer = {}, {}
        for line in lines:
            place = device(line) if "device" in line else ""
            if line["stage"] == "network":
                self.ours[place, network(line), line["optimize"], line["precision"]] = line
            elif line["stage"] == "peer":
                self.peer[place, line["encoder"], line["variant"]] = line

    def of(self, stage):
        return [line for line in self.lines if line["stage"] == stage]

    def places(self):
        return list(dict.fromkeys([key[0] for key in self.ours] + [key[0] for key in self.peer]))

    def python(self, place, encoder, optimize, precision):
        """The published program as it is, or the fastest that torch makes of it."""
        hows = ("compiled", "sdpa") if optimize else ("plain",)
        found = [self.peer[key] for how in hows if (key := (place, encoder, f"{how}-{precision}")) in self.peer]
        return min(found, key=lambda line: line["ms_p50"], default=None)


def networks(results):
    for encoder in [name or "embedded" for name in ENCODERS]:
        rows = []
        for place in results.places():
            base = results.ours.get((place, encoder, False, "fp32"))
            for optimize in (False, True):
                for precision in PRECISIONS:
                    ours = results.ours.get((place, encoder, optimize, precision))
                    python = results.python(place, encoder, optimize, precision)
                    if not ours and not python:
                        continue
                    mine, theirs = (line and line["ms_p50"] for line in (ours, python))
                    memory = [number(line.get("peak_mib"), 5) if line else "" for line in (python, ours)]
                    rows.append([place, "optimised" if optimize else "plain", precision, number(theirs), number(mine),
                                 number(mine / theirs, 2) if mine and theirs else "",
                                 f"{base['ms_p50'] / mine:.2g}x" if mine and base else "",
                                 " / ".join(memory) if any(memory) else ""])
        inputs = {line["input"] for key, line in results.ours.items() if key[1] == encoder}
        table(f"{encoder}, {', '.join(sorted(inputs))}" if inputs else encoder,
              ["device", "mode", "precision", "Python, ms", "here, ms", "here / Python", "gain over plain fp32",
               "memory, MiB: Python / here"], rows)


def elements(results):
    rows = []
    for line in results.of("element"):
        alone = results.ours.get((device(line), network(line), line["optimize"], line["precision"]))
        bare = alone and alone.get("ms_together", alone["ms_p50"])
        rows.append([device(line), network(line), line["precision"], line["memory"], str(line["elements"]),
                     str(line["batch_size"]), number(line["fps"]), number(line["ms"]), number(bare),
                     f"{100 * bare / line['ms']:.0f} %" if bare else "", number(line["ms"] - bare, 2) if bare else "",
                     number(line["to_device_bytes"], 9), number(line["first_ms"] and line["first_ms"] / 1e3, 2)])
    table("Element", ["device", "network", "precision", "colour in", "elements", "batch size", "frames/s", "ms a frame",
                      "network, ms", "of the network's rate", "over the network, ms", "bytes up a frame",
                      "NULL to first frame, s"], rows)
    table("Live cameras on one GPU", ["device", "network", "precision", "colour in", "frames/s each", "cameras"],
          [[device(line), network(line), line["precision"], line["memory"], str(line["fps"]), str(line["cameras"])]
           for line in results.of("cameras")])


def around(results):
    rows = []
    for stage in ("load", "preprocess", "postprocess", "pair", "pair-device", "flow", "flow-device", "shared"):
        for line in results.of(stage):
            name = f"{stage}, {line['cameras']} cameras, batches of {line['batch_avg']:.2g}" if stage == "shared" else stage
            ms = line.get("ms_p50", line.get("ms"))
            rows.append([device(line), network(line), line["precision"], name, number(ms), number(line.get("ms_p99")),
                         number(line.get("to_device_bytes"), 9)])
    table("Around the network", ["device", "network", "precision", "stage", "ms", "p99", "bytes up"], rows)
    table("Real pairs", ["compared", "pairs", "pixels that differ", "by more than a step", "most steps"],
          [[line["compared"], str(line["pairs"]), f"{100 * line['share_differing']:.3g} %", str(line["over_one_step"]),
            str(line["most_steps"])] for line in results.of("samples")])


def profiles(results, most):
    kinds = {}
    for line in results.of("profile"):
        kinds.setdefault((device(line), network(line), line["precision"], line["optimize"]), []).append(line)
    for (place, name, precision, optimize), lines in kinds.items():
        total = sum(line["us"] for line in lines) / 1e3
        table(f"{name}, {precision}, {'optimised' if optimize else 'plain'}, {place}: {number(total)} ms in kernels",
              ["kernel", "calls", "us", "share"],
              [[line["kernel"][:90].replace("|", "\\|"), str(line["calls"]), number(line["us"], 4),
                f"{100 * line['share']:.1f} %"] for line in lines[:most]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="RESULTS.jsonl")
    parser.add_argument("--kernels", type=int, default=12)
    options = parser.parse_args()
    results = Results(read(options.results))
    networks(results)
    elements(results)
    around(results)
    profiles(results, options.kernels)


main()
