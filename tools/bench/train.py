#!/usr/bin/env python3
"""What a training costs besides its models, in turns with PyTorch: a step of the optimiser, and the start.

    ./bazelw run //tools/bench:train -- [--rounds=5] [--only=C12,C13] [--threads=1] [--json=FILE]

C12: steps of SGD with momentum and of AdamW over 65 parameters of 4096 numbers; ours, LibTorch's torch::optim in C++, PyTorch's
torch.optim as the loop that it chooses on a CPU, as foreach and fused. C13: from the start of a process to the first batch of
128 augmented images of 50,000 that lie in one file, which the machine has read before; ours, a DataLoader with PyTorch alone, one
with torchvision. Peers run as those of ops.py.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from turns import HERE, SPIN, Side, bench_python, check_sgemm, circumstances, ratio

PROGRAMS = os.path.dirname(os.path.abspath(__file__))
IMAGES = 50000


def compare(name, unit, sides, rounds):
    """Measures in turns; sides: name -> function that gives a rate, ours first. Prints a line a peer."""
    rates = {side: [] for side in sides}
    for _ in range(rounds):
        for side, measure in sides.items():
            rates[side].append(measure())
    ours = next(iter(sides))
    row = {"id": name, "unit": unit, "rates": rates, "ratios": {}}
    for side in sides:
        if side == ours:
            continue
        r = row["ratios"][side] = ratio(rates[ours], rates[side])
        print(f"| {name} | {side} | {statistics.median(rates[ours]):,.4g} | {statistics.median(rates[side]):,.4g} | {unit} | "
              f"{r['median']:.2f} ({r['least']:.2f}-{r['greatest']:.2f}) |", flush=True)
    return row


def optimizer_rows(options):
    ours = Side([os.path.join(PROGRAMS, "train_benchmark"), f"--threads={options.threads}"], SPIN)
    peer = Side([bench_python(), os.path.join(HERE, "train_peer.py"), f"--threads={options.threads}"], SPIN)
    rows = []
    for case in ("sgd", "adamw"):
        sides = {"ours": lambda: ours.rate(case), "torch::optim": lambda: ours.rate(f"torch_{case}")}
        for form in ("loop", "foreach", "fused"):
            sides[f"torch.optim, {form}"] = lambda form=form: peer.rate(f"{case}_{form}")
        rows.append(compare(f"C12 {case}", "steps/s", sides, options.rounds))
    ours.end()
    peer.end()
    return rows


def starts(command):
    """One over the seconds from the start of a program to its first line."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **SPIN})
    line = process.stdout.readline()
    seconds = time.perf_counter() - start
    if process.wait() != 0 or line != "ready\n":
        sys.exit(f"{command} ended without a batch; its message is above")
    return 1 / seconds


def start_rows(options):
    program, script = os.path.join(PROGRAMS, "first_batch"), os.path.join(HERE, "first_batch_peer.py")
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = os.path.join(folder, "images.safetensors"), os.path.join(folder, "images.npy")
        subprocess.run([program, "make", ours, str(IMAGES)], check=True)
        subprocess.run([bench_python(), script, "make", theirs, str(IMAGES)], check=True)
        commands = {"ours": [program, ours], "torch": [bench_python(), script, "torch", theirs],
                    "torchvision": [bench_python(), script, "torchvision", theirs]}
        for command in commands.values():
            starts(command)  # Warm-up: programs and files are in memory afterwards.
        return [compare("C13", "starts/s", {name: lambda command=command: starts(command)
                                            for name, command in commands.items()}, options.rounds)]


PARTS = {"C12": optimizer_rows, "C13": start_rows}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="ids, separated by commas")
    parser.add_argument("--threads", type=int, default=1, help="for one tensor operation, in C12")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(PARTS)
    unknown = set(wanted) - set(PARTS)
    if unknown:
        sys.exit(f"--only={','.join(sorted(unknown))}: unknown. Permitted: {', '.join(PARTS)}")
    if options.json and "BUILD_WORKING_DIRECTORY" in os.environ:
        options.json = os.path.join(os.environ["BUILD_WORKING_DIRECTORY"], options.json)
    judge = Side([bench_python(), os.path.join(HERE, "train_peer.py"), "--threads=1"], SPIN)
    gflops = judge.rate("sgemm")
    judge.end()
    check_sgemm(gflops)
    result = {**circumstances("train"), "sgemm_gflops_per_core": round(gflops, 1), "rounds": options.rounds,
              "threads": options.threads, "rows": []}
    print(f"{result['machine']}; sgemm {gflops:.0f} GFLOP/s a core; median of {options.rounds} rounds in turns\n")
    print("| id | peer | ours | peer's | unit | ratio |")
    print("| --- | --- | ---: | ---: | --- | ---: |")
    for name in PARTS:
        if name in wanted:
            result["rows"] += PARTS[name](options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
