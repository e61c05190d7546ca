#!/usr/bin/env python3
"""Checks every source file of the tree. Each fault names the file and line, what is permitted and what to do.

    bazel test //tools/lint:sources_test      or      tools/lint/sources.py      (--fix lets clang-format rewrite)
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
MAX_BUILD_LINES = 180
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def files():
    """Paths of the tree relative to its root, without what Bazel, editors and git keep there."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f[0] != "." and not f.startswith("bazel-") and not os.path.islink(f"{folder}/{f}")]
        if folder != ROOT and "WORKSPACE" in names:  # Another workspace has rules of its own.
            folders[:] = []
            continue
        for name in names:
            yield os.path.relpath(f"{folder}/{name}", ROOT)


def check_includes(path, text, tree):
    """tree: all paths, so that an include of our own file is recognised."""
    own = os.path.splitext(path)[0] + ".h"
    first = True
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, name = match.groups()
        where = f"{path}:{number}: "
        if name == "torch/torch.h":
            yield where + "torch/torch.h costs 20 s a file. Include ATen/core/Tensor.h and the ATen/ops/*.h in use"
        beside = os.path.join(os.path.dirname(path), name)
        if not name.startswith("retort/"):
            for candidate in (name, beside):
                source = candidate.replace(".pb.h", ".proto")
                if source in tree:
                    yield where + f'our own headers are reached as "retort/{candidate}" only, not "{name}"'
                    break
        elif quote != '"':
            yield where + f'write "{name}" in quotation marks; angle brackets are for the system\'s headers'
        if first and path.endswith(".cc") and own in tree and name != "retort/" + own:
            yield where + f'the first include is the file\'s own header, "retort/{own}": that proves it self-contained'
        first = False


def check_build(path, text):
    lines = text.splitlines()
    if len(lines) > MAX_BUILD_LINES:
        yield f"{path}: {len(lines)} lines; at most {MAX_BUILD_LINES} (three screens). Make a leaf of it a package"
    for number, line in enumerate(lines, 1):
        rule = re.match(r"(?:native\.)?(cc_(?:library|binary|test|proto_library)|proto_library)\(", line)
        if rule:
            yield (f"{path}:{number}: {rule.group(1)} has none of the project's flags. "
                   f"Use a rule of //tools/bazel:retort.bzl or halide.bzl")


def check_format(paths, fix=False):
    command = ["clang-format", "-i" if fix else "--dry-run"] + ([] if fix else ["--Werror"])
    result = subprocess.run(command + paths, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    faulty = sorted(set(re.findall(r"^(\S+?):\d+:\d+: (?:error|warning)", result.stderr, re.M)))
    if result.returncode and not faulty:
        yield "clang-format failed. Install it, or run ./bazelw, which does.\n" + result.stderr
    for path in faulty:
        yield f"{path}: not formatted. Run clang-format -i {path}, or tools/lint/sources.py --fix for all"


def check(paths, fix=False):
    tree = set(paths)
    cpp = sorted(p for p in paths if p.endswith((".h", ".cc")))
    for path in cpp:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            yield from check_includes(path, file.read(), tree)
    for path in sorted(p for p in paths if os.path.basename(p) == "BUILD"):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            yield from check_build(path, file.read())
    if cpp:
        yield from check_format(cpp, fix)


def main():
    faults = list(check(list(files()), fix="--fix" in sys.argv[1:]))
    print("\n".join(faults) if faults else "no fault")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
