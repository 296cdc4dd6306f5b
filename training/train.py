#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the embedded model. `train.py --out runs/a` is the whole recipe; a run cut short goes on with `--resume`. On two GPUs:
`torchrun --standalone --nproc-per-node 2 -- train.py --out runs/a`, each with batches of its own."""
import argparse
import json
import math
import time
from pathlib import Path

import torch

from rgbdtrain import losses, model_file, state
from rgbdtrain.data import Source
from rgbdtrain.network import LightNetwork
from rgbdtrain.team import Team


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--out", required=True, help="folder for resume files, log and model")
    p.add_argument("--resume", help="folder of an earlier run")
    p.add_argument("--start", metavar="MODEL", help="model file whose weights a new run begins with")
    p.add_argument("--blocks", type=int, help="with --start: deepen the bottleneck to so many blocks, which begin as the identity")
    p.add_argument("--device", default="cuda")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--steps", type=int, default=20000, help="length of the learning-rate schedule")
    p.add_argument("--minutes", type=float, default=1e9, help="stop and save after so long")
    p.add_argument("--fit", action="store_true", help="set --steps so that the schedule ends with --minutes; guessed from the resumed run's speed, measured after 400 steps")
    p.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--crop", type=int, nargs=2, default=(288, 384), metavar=("H", "W"), help="multiples of 32")
    p.add_argument("--pool", type=int, default=4096, help="rendered frames kept")
    p.add_argument("--first", type=int, default=1536, help="frames rendered before the first step")
    p.add_argument("--every", type=int, default=4, help="steps between renderings of --fresh frames")
    p.add_argument("--fresh", type=int, default=24)
    p.add_argument("--frame", type=int, nargs=2, default=(480, 640), metavar=("H", "W"), help="size of rendered frames")
    p.add_argument("--glass", type=float, default=0.15, help="share of small things of glass in every other rendering")
    p.add_argument("--ahead", type=int, default=2, help="batches made at once")
    p.add_argument("--compile", action="store_true", help="compile loss and noise (CUDA)")
    p.add_argument("--log-every", type=int, default=100)
    p.add_argument("--save-minutes", type=float, default=4)
    p.add_argument("--warm-up", type=int, default=300, help="steps of rising learning rate")
    return p.parse_args()


def rate_at(step, a):
    if step < a.warm_up:
        return a.rate * (step + 1) / a.warm_up
    done = min(1.0, (step - a.warm_up) / max(1, a.steps - a.warm_up))
    return a.rate * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * done)))


def main():
    a = arguments()
    begin = time.time()
    # TF32: noise of 0.3 % is below bfloat16's resolution of log depth, and activations outgrow float16's range.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(a.seed)
    cuda = a.device.startswith("cuda")
    team = Team(a.device)
    a.device = team.device
    before = a.resume and Path(a.resume) / "model.safetensors" or a.start
    network = model_file.load(before).train() if before else LightNetwork().initialise()
    if a.blocks:
        network.deepen(a.blocks)
    network = network.to(a.device, memory_format=torch.channels_last)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=a.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=cuda)
    step, samples, parts = 0, 0, 0
    if a.resume:
        progress = state.load(a.resume, network, average, optimiser, a.device)
        step, samples, parts = progress["step"], progress["samples"], progress["parts"]
        if a.fit and "per_minute" in progress:
            a.steps = step + int(progress["per_minute"] * max(a.minutes / 2, a.minutes - 1.2))
    # Every part of a run, and every process of it, sees scenes and noise of its own.
    source = Source(a.seed * 1000 + parts + 500 * team.rank, a.device, a.pool, *a.frame, compiled=a.compile, glass=a.glass,
                    noise_fields=24 if cuda else 2, noise_size=1024 if cuda else 512)
    ready = []
    while source.filled < min(a.first, a.pool):
        source.render(a.fresh)
    sync = torch.cuda.synchronize if cuda else (lambda: None)
    sync()
    print(f"{source.filled} frames after {time.time() - begin:.1f} s", flush=True)
    measure = torch.compile(losses.loss, dynamic=False) if a.compile else losses.loss
    names = list(average)
    tensors = [average[k] for k in names]
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    log = open(out / ("log.jsonl" if team.rank == 0 else f"log-{team.rank}.jsonl"), "a")
    sums, counted, since, saved, data_time = {}, 0, time.time(), time.time(), 0.0

    first, fit_from, started = step, None, time.time()

    def finish():
        if not all(v.isfinite().all() for v in average.values()):
            raise SystemExit(f"step {step}: weights are not finite; what was saved before stays")
        per_minute = (step - first) * 60 / (time.time() - started)
        state.save(out, network, average, optimiser, dict(step=step, samples=samples, parts=parts + 1, per_minute=per_minute, settings=vars(a)))
        final = LightNetwork(network.settings)
        final.load_state_dict({k: v.cpu() for k, v in average.items()})
        model_file.export(final, out / "model.safetensors")

    late = False
    while step < a.steps and not late:
        before = time.time()
        if step % a.every == 0:
            source.render(a.fresh)
        if not ready:
            x, truth, glass = source.batch(a.batch * a.ahead, *a.crop)
            ready = [(x[i::a.ahead], truth[i::a.ahead], glass[i::a.ahead]) for i in range(a.ahead)]    # every camera in each
        x, truth, glass = ready.pop()
        x = x.contiguous(memory_format=torch.channels_last)
        median = losses.jittered_median(x, source.gen)
        if step % a.log_every < 10:
            sync()
        data_time += time.time() - before if step % a.log_every < 10 else 0
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, a)
        value, measures = measure(network, x, truth, glass, median)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        team.average([parameter.grad for parameter in network.parameters()])
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for parameter in network.parameters():                      # a batch without a finite gradient moves nothing
            parameter.grad.nan_to_num_(0, 0, 0)
        optimiser.step()
        decay = min(0.999, (1 + step) / (10 + step))
        current = network.state_dict()
        torch._foreach_lerp_(tensors, [current[k].detach() for k in names], 1 - decay)
        step, samples, counted = step + 1, samples + a.batch * team.size, counted + 1
        measures.update(loss=value.detach(), norm=norm)
        finite = norm.isfinite()
        for k, v in measures.items():
            sums[k] = sums.get(k, 0) + torch.where(finite, v, 0)
        sums["used"] = sums.get("used", 0) + finite
        if step % a.log_every == 0 or step in (1, 10):
            used = int(sums.pop("used"))
            if used < 0.8 * counted:
                raise SystemExit(f"step {step}: {counted - used} of {counted} losses were not finite")
            row = {k: round(float(v) / max(used, 1), 5) for k, v in sums.items()}
            now = time.time()
            row = dict(step=step, lr=round(rate_at(step, a), 6), skipped=counted - used, s=round(now - begin), per_s=round(counted * a.batch / (now - since), 1),
                       data_ms=round(1000 * data_time / 10, 1), **row)
            if team.rank == 0:
                print(" ".join(f"{k} {v}" for k, v in row.items()), flush=True)
            log.write(json.dumps(row) + "\n")
            log.flush()
            sums, counted, since, data_time = {}, 0, now, 0.0
        if a.fit and step == first + 100:
            sync()
            fit_from = time.time()
        if a.fit and step == first + 400:
            sync()
            a.steps = step + int(team.agree((a.minutes * 60 - (time.time() - begin) - 4) * 300 / (time.time() - fit_from)))
            print(f"{a.steps} steps in all", flush=True)
        if step % 20 == 0:
            late = team.agree(time.time() - begin >= a.minutes * 60)
        if team.rank == 0 and time.time() - saved > a.save_minutes * 60:
            finish()
            saved = time.time()
    if team.rank == 0:
        finish()
    print(f"saved after {step} steps, {samples} samples, {(time.time() - begin) / 60:.2f} min", flush=True)


if __name__ == "__main__":
    main()
