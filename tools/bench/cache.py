#!/usr/bin/env python3
"""Writing a million targets and reading them in batches at random, in turns: our target cache, and records as TinyViT stores them.

    ./bazelw run //tools/bench:cache -- [--rounds=5] [--json=FILE]

One core. Records of 44 and 404 bytes: ours are f16 logits of 22 and 202 classes, TinyViT's the 10 and 100 greatest probabilities with
their classes. Ours end on disk with their SHA-256; reading is from memory on both sides. Peers run as those of ops.py.
"""

import argparse
import json
import os
import statistics
import sys

from turns import HERE, SPIN, Side, bench_python, circumstances, ratio

CASES = ("write44", "read44", "write404", "read404")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if options.json and "BUILD_WORKING_DIRECTORY" in os.environ:
        options.json = os.path.join(os.environ["BUILD_WORKING_DIRECTORY"], options.json)
    one_core = {**SPIN, "OMP_NUM_THREADS": "1"}
    ours = Side([os.path.join(os.path.dirname(os.path.abspath(__file__)), "cache_benchmark")], one_core)
    peer = Side([bench_python(), os.path.join(HERE, "cache_peer.py")], one_core)
    result = {**circumstances("cache"),
              "rounds": options.rounds, "rows": []}
    print(f"{result['machine']}; median of {options.rounds} rounds in turns\n")
    print("| work | ours, records/s | TinyViT's files, records/s | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for case in CASES:
        rates = {"ours": [], "peer": []}
        for _ in range(options.rounds):
            rates["ours"].append(ours.rate(case))
            rates["peer"].append(peer.rate(case))
        compared = ratio(rates["ours"], rates["peer"])
        result["rows"].append({"work": case, **rates, "ratio": compared})
        print(f"| {case} | {statistics.median(rates['ours']):,.0f} | {statistics.median(rates['peer']):,.0f} | "
              f"{compared['median']:.1f} ({compared['least']:.1f}-{compared['greatest']:.1f}) |", flush=True)
    ours.end()
    peer.end()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
