"""What the comparisons of this folder share: the other programs they talk to, and the machine."""

import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
SPIN = {"GOMP_SPINCOUNT": "5000"}
TUNED = {**SPIN, "MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "67108864",
         "THP_MEM_ALLOC_ENABLE": "1"}


class Side:
    """A program that takes turns; see turn.h."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        self.ask("list")  # Waits: while it starts, no other is to be measured.

    def ask(self, case):
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} ended at case {case}; its message is above")
        return line

    def rate(self, case):
        return float(self.ask(case))

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def take_turns(cases):
    """The other side of Side, in Python. cases: name -> function that sets up and returns a round; a round returns units of
    work and the seconds they took."""
    rounds = {}
    for line in sys.stdin:
        name = line.strip()
        if name == "list":
            print(*cases, flush=True)
            continue
        if name not in rounds:
            rounds[name] = cases[name]()
            rounds[name]()  # Warm-up.
        units, seconds = rounds[name]()
        print(f"{units / seconds:.9g}", flush=True)


def timed(units, work):
    start = time.perf_counter()
    work()
    return units, time.perf_counter() - start


def sgemm():
    """Single-precision GFLOP/s of one core, by which the machine is judged fit to measure on."""
    import torch
    torch.set_num_threads(1)
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)

    def run():
        return timed(2 * 1024**3 * 10 / 1e9, lambda: [a @ b for _ in range(10)])
    return run


def check_sgemm(gflops):
    if gflops < 50:
        sys.exit(f"one core does {gflops:.0f} GFLOP/s in sgemm; less than 50 means that something else is running. Try later")


def ratio(ours, theirs):
    """Median, least and greatest ratio of a round."""
    ratios = [a / b for a, b in zip(ours, theirs)]
    return {"median": statistics.median(ratios), "least": min(ratios), "greatest": max(ratios)}


def bench_python():
    python = os.environ.get("RETORT_BENCH_PYTHON")
    if python:
        return python
    folder = os.path.expanduser("~/.cache/retort/bench")
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        print(f"making {folder} with PyTorch, torchvision and timm, about 5 GB", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", os.path.join(HERE, "requirements.txt")],
                       check=True)
    return python


# Prints what a Python has of the packages in a requirements.txt, and the library that multiplies its matrices.
VERSIONS = """
import importlib.metadata, json, platform, re, sys, torch
installed = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
wanted = [line.split("==")[0] for line in open(sys.argv[1])]
blas = re.search("(Math Kernel Library Version|OpenBLAS) ([0-9.]+)", torch.__config__.show())
print(json.dumps({"python": platform.python_version(), **{name: installed[name] for name in wanted if name in installed},
                  "blas": " ".join(blas.groups()) if blas else "unknown"}))
"""


def circumstances(name):
    """What figures need beside them: command, revision, machine, and versions of the other side; ours are the revision's."""
    versions = subprocess.run([bench_python(), "-c", VERSIONS, os.path.join(HERE, "requirements.txt")], check=True, capture_output=True)
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=os.environ.get("BUILD_WORKSPACE_DIRECTORY", HERE),
                              check=True, capture_output=True, text=True)
    return {"command": f"./bazelw run //tools/bench:{name} -- " + " ".join(sys.argv[1:]), "revision": revision.stdout.strip(),
            "machine": machine(), "versions": json.loads(versions.stdout)}


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        info = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
    info = {key.strip(): value.strip() for key, value in info.items()}
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if flag in info.get("flags", "").split()]
    return f"{info.get('model name', 'unknown processor')}, {os.cpu_count()} cores, {' '.join(flags)}"
