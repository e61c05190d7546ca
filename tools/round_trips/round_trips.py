#!/usr/bin/env python3
"""Random state dicts through Python's safetensors and torch.save, our readers and our writer, and back.

    RETORT_BENCH_PYTHON=/path/to/python ./bazelw run //tools/round_trips -- [--count=1000] [--seed=1]

Each state dict is written by torch.save and, row-major, by safetensors.torch.save_file with metadata; resave.cc reads both
and writes each as safetensors; Python's safetensors reads those. Names, types, shapes, every byte and the metadata must
be equal. RETORT_BENCH_PYTHON names a Python with torch 2.11 and safetensors 0.8.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))


def random_tensor(torch, rng, types):
    dtype = rng.choice(types)
    shape = [rng.choice([0, 1, 1, 2, 3, 5, 8]) for _ in range(rng.randrange(5))]
    count = 1
    for extent in shape:
        count *= extent
    size = torch.empty((), dtype=dtype).element_size()
    # A storage with something before and behind; any bits, NaNs too.
    before, behind = rng.randrange(3), rng.randrange(3)
    raw = torch.frombuffer(bytearray(rng.randbytes(size * (before + count + behind)) + b"\0"), dtype=torch.uint8)[:-1]
    if dtype == torch.bool:
        raw = raw % 2
    tensor = raw.clone().view(dtype)[before:before + count].reshape(shape)
    kind = rng.randrange(6)
    if kind == 0 and len(shape) > 1:
        tensor = tensor.transpose(0, rng.randrange(1, len(shape)))
    elif kind == 1 and len(shape) == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    elif kind == 2 and len(shape) > 0 and shape[0] > 1:
        tensor = tensor[::2]
    elif kind == 3:
        tensor = tensor.unsqueeze(0).expand(3, *tensor.shape)
    elif kind == 4 and dtype.is_floating_point and size > 1:
        tensor = torch.nn.Parameter(tensor)
    return tensor


def random_name(rng):
    parts = ["layers", "conv", "0", "17", "weight", "bias", "né", 'a "quoted" one', "back\\slash", "日本"]
    return ".".join(rng.choice(parts) for _ in range(1 + rng.randrange(5)))


def random_state(torch, rng, types):
    state = {}
    for _ in range(1 + rng.randrange(12)):
        state[random_name(rng)] = random_tensor(torch, rng, types)
    if rng.randrange(3) == 0:  # tied weights
        state["tied." + random_name(rng)] = rng.choice(list(state.values()))
    return state


def bits(torch, tensor):
    flat = tensor.detach().clone(memory_format=torch.contiguous_format).flatten()
    return bytes(flat.view(torch.uint8).tolist())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    python = os.environ.get("RETORT_BENCH_PYTHON")
    if python and "RETORT_ROUND_TRIPS" not in os.environ:
        os.execve(python, [python, *sys.argv], {**os.environ, "RETORT_ROUND_TRIPS": "1"})
    try:
        import safetensors
        import safetensors.torch
        import torch
    except ImportError as error:
        sys.exit(f"{error}; set RETORT_BENCH_PYTHON to a Python with torch and safetensors")

    types = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64,
             torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2,
             torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]
    rng = random.Random(options.seed)
    faults = tensors = files = 0
    resave = subprocess.Popen([os.path.join(HERE, "resave")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.count):
            state = random_state(torch, rng, types)
            metadata = {random_name(rng): random_name(rng) for _ in range(rng.randrange(3))}
            pth, plain = os.path.join(folder, "in.pth"), os.path.join(folder, "in.safetensors")
            torch.save(state if rng.randrange(2) else {"epoch": i, "model": state, "args": [1, None, 2.5]}, pth)
            safetensors.torch.save_file({name: tensor.detach().contiguous().clone() for name, tensor in state.items()}, plain,
                                        metadata or None)
            for source in (pth, plain):
                out = os.path.join(folder, "out.safetensors")
                resave.stdin.write(f"{source}\t{out}\n")
                resave.stdin.flush()
                answer = resave.stdout.readline().strip()
                files += 1
                if answer != "ok":
                    faults += 1
                    print(f"{i} {source}: {answer}")
                    continue
                back = safetensors.torch.load_file(out)
                equal = back.keys() == state.keys() and all(
                    back[name].dtype == tensor.dtype and back[name].shape == tensor.shape and
                    bits(torch, back[name]) == bits(torch, tensor) for name, tensor in state.items())
                if source == plain:
                    with safetensors.safe_open(out, "pt") as file:
                        ours = dict(file.metadata() or {})
                    ours.pop("retort.sha256", None)
                    equal = equal and ours == metadata
                tensors += len(state)
                if not equal:
                    faults += 1
                    print(f"{i} {source}: differs")
    resave.stdin.close()
    resave.wait()
    print(f"{options.count} state dicts, {files} files, {tensors} tensors: {faults} faults")
    return faults > 0


if __name__ == "__main__":
    sys.exit(main())
