#!/usr/bin/env python3
"""Assembles PTX for the GPUs in use and refuses kernels that spill, keep a stack or take too many registers.

    check_ptx.py PTXAS FILE MAX_REGISTERS [--no_fma]

--no_fma refuses fused products and sums, too: they are rounded once where the host rounds twice.
"""

import re
import subprocess
import sys

ARCHITECTURES = ["sm_80", "sm_90"]


# Of a kernel in ptxas's report. The functions that it calls are told of, too.
STACK = r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
REGISTERS = r"Used (\d+) registers"


def entries(ptx):
    """The kernels of a PTX file: (name, text up to the next one)."""
    parts = re.split(r"^\s*(?:\.visible\s+)?\.entry\s+([\w$]+)", ptx, flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


def check(report, architecture, max_registers):
    """Yields of each kernel of ptxas's report its name, a line of the table, and whether it passes."""
    parts = re.split(r"Compiling entry function '(\S+)'", report)
    for name, text in zip(parts[1::2], parts[2::2]):
        stacks, registers = re.findall(STACK, text), re.findall(REGISTERS, text)
        if not stacks or len(registers) != 1:
            yield name, f"{architecture} of {name} ptxas does not say what it takes", False
            continue
        stack, stores, loads = (sum(int(numbers[i]) for numbers in stacks) for i in range(3))
        line = (f"{architecture} {registers[0]:>4} registers (at most {max_registers}) {stack:4} bytes of stack "
                f"{stores + loads:4} bytes spilled  {name}")
        yield name, line, stack + stores + loads == 0 and int(registers[0]) <= max_registers


def main():
    ptxas, path, max_registers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path, encoding="utf-8") as file:
        kernels = entries(file.read())
    if not kernels:
        sys.exit(f"{path}: no kernel found; is the schedule on the GPU?")
    faults = []
    if "--no_fma" in sys.argv[4:]:
        for name, text in kernels:
            fused = re.findall(r"\bfma\.\S+", text)
            if fused:
                faults.append(f"{len(fused)} fused multiply-adds, such as {fused[0]}, in {name}")
    for architecture in ARCHITECTURES:
        result = subprocess.run([ptxas, "-arch=" + architecture, "-v", "-o", "/dev/null", path], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            sys.exit(result.stdout)
        told = list(check(result.stdout, architecture, max_registers))
        for _, line, passes in told:
            print(line)
            if not passes:
                faults.append(line)
        for name in sorted({name for name, _ in kernels} - {name for name, _, _ in told}):
            faults.append(f"{architecture} ptxas does not tell of {name}")
    for fault in faults:
        print("FAULT " + fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
