#!/usr/bin/env python3
"""Instructions that ops execute, counted by callgrind: the same for the same binary, whatever else the machine does.

    ./bazelw run //tools/bench:instructions -- [--json=FILE] [--compare=docs/benchmarks/instructions.json]

Counts are of the op's call alone, on one thread, by its AVX2 variant: valgrind knows no AVX-512. With --compare the exit code is
1 if an op needs more than 1.01 times what the file says. Needs valgrind.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT = 1.01
# Id, program, its arguments, the function that is counted.
CASES = [
    ("C1", "ops/batch_assembly/batch_assembly_benchmark", ["--benchmark_filter=32x32x3_planar_1_thread"], "retort::ops::BatchAssembly(*"),
    ("C9", "ops/attention/attention_benchmark", ["--benchmark_filter=BM_AttentionTransfer"], "retort::ops::AttentionTransfer(*"),
    ("C10", "ops/losses/losses_benchmark", ["--benchmark_filter=BM_CrossEntropyKl/128/100/"], "retort::ops::CrossEntropyKl(*"),
]


def count(program, arguments, function):
    """Instructions of all calls of a dry run, which are always as many."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, "--collect-atstart=no", "--toggle-collect=" + function,
                   program, *arguments, "--benchmark_min_time=0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with open(out, encoding="utf-8") as file:
            text = file.read()
    total = int(re.search(r"^(?:summary|totals): (\d+)", text, re.M).group(1))
    if total == 0:
        sys.exit(f"{program}: {function} was never called")
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", help="file for the counts")
    parser.add_argument("--compare", help="file of earlier counts")
    parser.add_argument("--only", default="", help="ids, separated by commas")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing; apt-get install valgrind")
    place = os.environ.get("BUILD_WORKING_DIRECTORY", ".")
    before = {}
    if options.compare:
        with open(os.path.join(place, options.compare), encoding="utf-8") as file:
            before = json.load(file)
    counts, slower = {}, False
    for name, program, arguments, function in CASES:
        if options.only and name not in options.only.split(","):
            continue
        counts[name] = count(program, arguments, function)
        line = f"{name:4} {counts[name]:14,} instructions"
        if name in before:
            ratio = counts[name] / before[name]
            slower = slower or ratio > LIMIT
            line += f"  {ratio:.4f} of {before[name]:,}" + ("  MORE THAN 1.01" if ratio > LIMIT else "")
        print(line, flush=True)
    if options.json:
        with open(os.path.join(place, options.json), "w", encoding="utf-8") as file:
            json.dump(counts, file, indent=1)
            file.write("\n")
    sys.exit(slower)


if __name__ == "__main__":
    main()
