#!/usr/bin/env python3
"""Forward pass and training step of a model, in turns: ours, Python eager as a user starts it, eager with large allocator
thresholds, torch.compile with the same thresholds.

    ./bazelw run //tools/bench:models -- [--rounds=5] [--only=vit,resnet20] [--dtype=f32] [--batch=128] [--threads=2]
                                         [--json=FILE]

Both sides take images of 32 px, channels_last and the same type; a training step is forward, cross-entropy, backward and fused
Adam. The Python model is the one that nn/models/references proves ours equal to. The table, in Markdown, has median images
a second and the median ratio of a round with the least and greatest. Peers run as those of ops.py.
"""

import argparse
import json
import os
import statistics
import sys

from turns import HERE, SPIN, TUNED, Side, bench_python, check_sgemm, circumstances, ratio

# Id, family and case in nn/models/references.
ROWS = [
    ("deep_nn", "deep_nn", "deep_nn"),
    ("light_nn", "light_nn", "light_nn"),
    ("notebook_deep_nn", "notebook_deep_nn", "deep_nn"),
    ("notebook_light_nn", "notebook_light_nn", "light_nn"),
    ("resnet20", "cifar_resnet", "resnet20"),
    ("resnet8x4", "cifar_resnet", "resnet8x4"),
    ("wrn_16_2", "wide_resnet", "wrn_16_2"),
    ("vit", "vit", "multi_view_student"),
]
WORK = ("forward", "training_step")


def config(family, case):
    """Our config of a model that the references have."""
    with open(os.path.join(HERE, "../../nn/models/references", family + ".json"), encoding="utf-8") as file:
        return next(reference["config"] for reference in json.load(file) if reference["name"] == case)


def sides(row, options):
    """name -> Side, for one model."""
    _, family, case = row
    same = [f"--batch={options.batch}", f"--dtype={options.dtype}", f"--threads={options.threads}"]
    ours = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "models_benchmark"), f"--model={config(family, case)}",
            *same]
    peer = [bench_python(), os.path.join(HERE, "models_peer.py"), f"--family={family}", f"--case={case}", *same]
    return {"ours": Side(ours, SPIN), "eager": Side(peer, SPIN), "tuned": Side(peer, TUNED),
            "compiled": Side([*peer, "--compile"], TUNED)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="ids, separated by commas")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [row[0] for row in ROWS]
    unknown = set(wanted) - {row[0] for row in ROWS}
    if unknown:
        sys.exit(f"--only={','.join(sorted(unknown))}: unknown. Permitted: {', '.join(row[0] for row in ROWS)}")
    if options.json and "BUILD_WORKING_DIRECTORY" in os.environ:
        options.json = os.path.join(os.environ["BUILD_WORKING_DIRECTORY"], options.json)

    result = {**circumstances("models"),
              "rounds": options.rounds, "dtype": options.dtype, "batch": options.batch, "threads": options.threads, "rows": []}
    for row in ROWS:
        if row[0] not in wanted:
            continue
        programs = sides(row, options)
        if not result["rows"]:
            gflops = result["sgemm_gflops_per_core"] = round(programs["eager"].rate("sgemm"), 1)
            check_sgemm(gflops)
            print(f"{result['machine']}; sgemm {gflops:.0f} GFLOP/s a core; median of {options.rounds} rounds in turns\n")
            print("| model | work | ours | eager | ratio | tuned eager | ratio | compiled | ratio |")
            print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for work in WORK:
            rates = {name: [] for name in programs}
            for _ in range(options.rounds):
                for name, program in programs.items():
                    rates[name].append(program.rate(work))
            figures = {"id": row[0], "work": work, "unit": "images/s", "rates": rates}
            cells = [row[0], work.replace("_", " "), f"{statistics.median(rates['ours']):,.0f}"]
            for name in ("eager", "tuned", "compiled"):
                r = figures[f"ratio_{name}"] = ratio(rates["ours"], rates[name])
                cells += [f"{statistics.median(rates[name]):,.0f}",
                          f"{r['median']:.2f} ({r['least']:.2f}-{r['greatest']:.2f})"]
            result["rows"].append(figures)
            print(f"| {' | '.join(cells)} |", flush=True)
        for program in programs.values():
            program.end()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
