#!/usr/bin/env python3
"""Assembles PTX for the GPUs in use and refuses kernels that spill, keep a stack or take too many registers.

    check_ptx.py PTXAS FILE MAX_REGISTERS [--no_fma]

--no_fma refuses fused products and sums, too: they are rounded once where the host rounds twice.
"""

import re
import subprocess
import sys

ARCHITECTURES = ["sm_80", "sm_90"]


def check(report, architecture, max_registers):
    """Yields a line of the table for each kernel of ptxas's report, and whether it passes."""
    kernel = r"Compiling entry function '(\S+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers"
    for name, *numbers in re.findall(kernel, report, re.S):
        stack, stores, loads, registers = map(int, numbers)
        yield (f"{architecture} {registers:4} registers (at most {max_registers}) {stack:4} bytes of stack "
               f"{stores + loads:4} bytes spilled  {name}"), stack + stores + loads == 0 and registers <= max_registers


def main():
    ptxas, ptx, max_registers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    faults, kernels = 0, 0
    if "--no_fma" in sys.argv[4:]:
        with open(ptx, encoding="utf-8") as file:
            fused = re.findall(r"\bfma\.\S+", file.read())
        if fused:
            sys.exit(f"{ptx}: {len(fused)} fused multiply-adds, such as {fused[0]}")
    for architecture in ARCHITECTURES:
        result = subprocess.run([ptxas, "-arch=" + architecture, "-v", "-o", "/dev/null", ptx], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            sys.exit(result.stdout)
        for line, passes in check(result.stdout, architecture, max_registers):
            print(line if passes else "FAULT " + line)
            kernels += 1
            faults += not passes
    if kernels == 0:
        sys.exit(f"{ptx}: no kernel found; is the schedule on the GPU?")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
