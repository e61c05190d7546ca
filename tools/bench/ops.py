#!/usr/bin/env python3
"""Ops against what people use today, in turns: ours, the peer as a user runs it, the peer with large allocator thresholds.

    ./bazelw run //tools/bench:ops -- [--rounds=5] [--only=C1,C9] [--json=FILE]

Each row is one case of ops_benchmark.cc and one of ops_peer.py. Of every round the ratio of the two rates is taken; the
table shows medians, and the least and greatest ratio. Peers run in a virtual environment of their own, made once under
~/.cache/retort/bench (about 5 GB); RETORT_BENCH_PYTHON names another Python that has requirements.txt.
"""

import argparse
import atexit
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from turns import HERE, SPIN, TUNED, Side, bench_python, check_sgemm, circumstances, ratio

# Id, what it is, our case, whose case, unit.
ROWS = [
    ("C1a", "crop 4, flip, cutout 8, normalise; torchvision's Compose in a DataLoader; 1 thread", "C1", "torchvision", "images/s"),
    ("C1b", "crop 4, flip, normalise; batched tensor operations; 1 thread", "C1_crop_flip", "batched", "images/s"),
    ("C1-2", "C1a with 2 threads; DataLoader with 2 workers", "C1b", "torchvision_2_workers", "images/s"),
    ("AA", "crop 4, flip, AutoAugment CIFAR10, normalise; torchvision's Compose in a DataLoader; 1 thread", "AA",
     "torchvision_auto", "images/s"),
    ("C2", "RandomResizedCrop 224 of 500x375, flip, normalise; torchvision on PIL images; 1 thread", "C2", "photo_pil", "images/s"),
    ("C2v2", "the same; torchvision v2 on u8 tensors; 1 thread", "C2", "photo_v2", "images/s"),
    ("C3", "the same from JPEGs of quality 90; decode_jpeg and v2; 1 thread", "C3", "jpeg_v2", "images/s"),
    ("C3raw", "C2 from decoded pixels; decode_jpeg and v2 from JPEGs; 1 thread", "C2", "jpeg_v2", "images/s"),
    *[(f"C9{name}{suffix}", f"attention transfer, forward and backward, {shape} {layout}; eager; 1 thread",
       f"attention_{name}_{key}", f"attention_{name}_{key}", "calls/s")
      for name, shape in (("a", "(128,64,16,16)"), ("b", "(128,16,32,32)"), ("c", "(64,256,14,14)"))
      for suffix, layout, key in (("", "NCHW", "nchw"), ("l", "channels_last", "cl"))],
    *[(f"C10-{k}", f"cross-entropy and KL at T = 4, forward and backward, 128x{k}; eager; 1 thread", f"ce_kl_{k}", f"ce_kl_{k}",
       "calls/s") for k in (10, 100, 1000)],
    *[(f"C10+{k}", "the same; the formula in C++ with ATen; 1 thread", f"ce_kl_{k}", f"@eager_ce_kl_{k}", "calls/s")
      for k in (10, 100, 1000)],
    ("C4", "C1a; torch::data in the same C++ program; 1 thread", "C1", "@C4_torch_data", "images/s"),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="ids, separated by commas")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [row[0] for row in ROWS]
    unknown = set(wanted) - {row[0] for row in ROWS}
    if unknown:
        sys.exit(f"--only={','.join(sorted(unknown))}: unknown. Permitted: {', '.join(row[0] for row in ROWS)}")

    # Both may be given relative to where the user stands.
    if options.json and "BUILD_WORKING_DIRECTORY" in os.environ:
        options.json = os.path.join(os.environ["BUILD_WORKING_DIRECTORY"], options.json)
    python = bench_python()
    peer_script = os.path.join(HERE, "ops_peer.py")
    photos = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, photos)
    subprocess.run([python, peer_script, "--make_photos", photos], check=True)
    ours = Side([os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops_benchmark"), photos], TUNED)
    peer = Side([python, peer_script, photos], SPIN)
    tuned = Side([python, peer_script, photos], TUNED)

    gflops = peer.rate("sgemm")
    check_sgemm(gflops)
    result = {**circumstances("ops"), "sgemm_gflops_per_core": round(gflops, 1), "rounds": options.rounds, "rows": []}
    print(f"{result['machine']}; sgemm {gflops:.0f} GFLOP/s a core; median of {options.rounds} rounds in turns\n")
    print(f"{'':8} {'ours':>12} {'peer':>12} {'ratio (least-greatest)':>24} {'tuned peer':>12} {'ratio (least-greatest)':>24}")
    for name, what, our_case, peer_case, unit in ROWS:
        if name not in wanted:
            continue
        rates = {"ours": [], "peer": [], "tuned": []}
        for _ in range(options.rounds):
            rates["ours"].append(ours.rate(our_case))
            if peer_case.startswith("@"):
                rates["peer"].append(ours.rate(peer_case[1:]))
                rates["tuned"].append(rates["peer"][-1])
            else:
                rates["peer"].append(peer.rate(peer_case))
                rates["tuned"].append(tuned.rate(peer_case))
        row = {"id": name, "what": what, "unit": unit, "rates": rates}
        cells = [f"{statistics.median(rates['ours']):12,.0f}"]
        for side in ("peer", "tuned"):
            r = row[f"ratio_{side}"] = ratio(rates["ours"], rates[side])
            cells += [f"{statistics.median(rates[side]):12,.0f}",
                      f"{r['median']:9.1f} ({r['least']:.1f}-{r['greatest']:.1f})".rjust(24)]
        result["rows"].append(row)
        print(f"{name:8} {' '.join(cells)}   {unit}: {what}", flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
