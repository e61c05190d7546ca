#!/usr/bin/env python3
"""Assembles PTX for the GPUs in use and refuses kernels that spill, keep a stack, take too many registers or divide
numbers of 64 bits.

    check_ptx.py PTXAS FILE MAX_REGISTERS [--no_fma] [--store_bytes=N]

--no_fma refuses fused products and sums, too: they are rounded once where the host rounds twice. --store_bytes refuses
stores to global memory that are narrower.
"""

import argparse
import re
import subprocess
import sys

ARCHITECTURES = ["sm_80", "sm_90"]
# What Halide's runtime has the driver keep to when it loads a module (HL_CUDA_JIT_MAX_REGISTERS).
CAP = 64

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


def store_widths(text):
    """Bytes of each store to global memory: st.global.b64 has 8, st.global.v4.f32 has 16."""
    return [int(vector or 1) * int(bits) // 8
            for vector, bits in re.findall(r"\bst(?:\.\w+)*?\.global(?:\.(?!v\d)[\w:]+)*?(?:\.v(\d))?\.[bfsu](\d+)\s", text)]


def read(kernels, no_fma, store_bytes):
    """Yields the faults that the text of the kernels has."""
    for name, text in kernels:
        divisions = re.findall(r"\b(?:div|rem)\.[su]64", text)
        if divisions:
            yield f"{len(divisions)} divisions of 64 bits in {name}"
        fused = re.findall(r"\bfma\.\S+", text)
        if fused and no_fma:
            yield f"{len(fused)} fused multiply-adds, such as {fused[0]}, in {name}"
        widths = store_widths(text)
        if store_bytes and min(widths, default=0) < store_bytes:
            yield f"stores of {sorted(set(widths))} bytes in {name}; all are to have at least {store_bytes}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ptxas")
    parser.add_argument("path")
    parser.add_argument("max_registers", type=int)
    parser.add_argument("--no_fma", action="store_true")
    parser.add_argument("--store_bytes", type=int, default=0)
    args = parser.parse_args()
    with open(args.path, encoding="utf-8") as file:
        kernels = entries(file.read())
    if not kernels:
        sys.exit(f"{args.path}: no kernel found; is the schedule on the GPU?")
    faults = list(read(kernels, args.no_fma, args.store_bytes))
    for architecture in ARCHITECTURES:
        result = subprocess.run([args.ptxas, f"-arch={architecture}", f"-maxrregcount={CAP}", "-v", "-o", "/dev/null",
                                 args.path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            sys.exit(result.stdout)
        told = list(check(result.stdout, architecture, args.max_registers))
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
