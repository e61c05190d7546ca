#!/usr/bin/env python3
"""Random state dicts through Python's safetensors and torch.save, our readers and our writer, and back.

    RETORT_BENCH_PYTHON=/path/to/python ./bazelw run //tools/round_trips -- [--count=1000] [--seed=1]
    RETORT_BENCH_PYTHON=/path/to/python ./bazelw run //tools/round_trips -- --models [--only=resnet]

Each state dict is written by torch.save and, row-major, by safetensors.torch.save_file with metadata; resave.cc reads both
and writes each as safetensors; Python's safetensors reads those. Names, types, shapes, every byte and the metadata must
be equal.

With --models, each model of torchvision and timm that Retort has, whole, starting from the library's own first weights:
torch.save writes its state dict, //tools:model loads that and runs batches of 1 and 7. Prints a table of the logits'
largest difference from the library's model in float64, relative to the row's largest logit, and of PyTorch's own in
float32; more than max(1e-5, 3 x PyTorch's) is a fault.

RETORT_BENCH_PYTHON names a Python with torch 2.11 and safetensors 0.8, for --models also torchvision 0.26 and timm 1.0.31.
"""

import argparse
import functools
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))  # Bazel's links, not where they lead
MODEL = os.path.join(HERE, os.pardir, "model", "model")
CLASSES = 1000


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


def library_models():
    """Name, our config, what builds it, the key map; in 1000 classes at 224 px."""
    import timm
    import torch
    import torchvision

    def of_torchvision(name, config):
        return "torchvision " + name, config, getattr(torchvision.models, name), ""

    def with_head(build):
        """torchvision's ViTs begin with a head of zeros, with which every model gives the same logits."""
        model = build()
        torch.nn.init.normal_(model.heads.head.weight, std=0.02)
        return model

    def of_timm(name, config):
        return "timm " + name, config, lambda: timm.create_model(name, num_classes=CLASSES), ""

    for depth in (18, 34, 50, 101, 152):
        yield of_torchvision(f"resnet{depth}", f"resnet {{ depth: RESNET_{depth} }}")
    yield of_torchvision("mobilenet_v2", "mobilenet_v2 {}")
    for size in ("large", "small"):
        yield of_torchvision(f"mobilenet_v3_{size}", f"mobilenet_v3 {{ size: {size.upper()} }}")
    for size in ("x0_5", "x1_0", "x1_5", "x2_0"):
        yield of_torchvision(f"shufflenet_v2_{size}", f"shufflenet_v2 {{ size: {size.upper()} }}")
    for name, multipliers in (("b0", (1.0, 1.0)), ("b1", (1.0, 1.1)), ("b2", (1.1, 1.2))):
        yield of_torchvision(f"efficientnet_{name}",
                             "efficientnet {{ width_multiplier: {} depth_multiplier: {} }}".format(*multipliers))
    for size in ("tiny", "small", "base", "large"):
        yield of_torchvision(f"convnext_{size}", f"convnext {{ size: {size.upper()} }}")
    sizes = {"tiny": "", "small": "width: 384 heads: 6", "base": "width: 768 heads: 12",
             "large": "width: 1024 depth: 24 heads: 16"}
    for size, patches in (("tiny", (16,)), ("small", (16, 32)), ("base", (16, 32)), ("large", (16, 32))):
        for patch in patches:
            yield of_timm(f"vit_{size}_patch{patch}_224", f"vit {{ patch: {patch} {sizes[size]} }}")
    for size in ("tiny", "small", "base"):
        yield of_timm(f"deit_{size}_patch16_224", f"vit {{ {sizes[size]} }}")
        yield of_timm(f"deit_{size}_distilled_patch16_224", f"vit {{ {sizes[size]} distillation_token: true }}")
    for size in ("base", "large"):
        for patch in (16, 32):
            build = functools.partial(with_head, getattr(torchvision.models, f"vit_{size[0]}_{patch}"))
            yield (f"torchvision vit_{size[0]}_{patch}", f"vit {{ patch: {patch} {sizes[size]} }}", build,
                   "TORCHVISION_VIT_TO_TIMM")


def check_models(only):
    import safetensors.torch
    import torch

    def difference(found, exact):
        return float(((found.double() - exact).abs().amax(1) / exact.abs().amax(1)).max())

    faults = models = 0
    print("| model | parameters | batch of 1 | batch of 7 | PyTorch f32 |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        weights, inputs, outputs = (os.path.join(folder, name) for name in ("w.pth", "in.safetensors", "out.safetensors"))
        for name, config, build, key_map in library_models():
            if only not in name:
                continue
            torch.manual_seed(1)
            model = build().eval()
            torch.save(model.state_dict(), weights)
            parameters = sum(parameter.numel() for parameter in model.parameters())
            batches = [torch.randn(batch, 3, 224, 224) for batch in (1, 7)]
            singles = [model(images) for images in batches]
            model.double()
            exact = [model(images.double()) for images in batches]
            del model
            noise = max(map(difference, singles, exact))
            found = []
            for images, logits in zip(batches, exact):
                safetensors.torch.save_file({"images": images}, inputs)
                finished = subprocess.run(
                    [MODEL, "--model=" + config, f"--classes={CLASSES}", "--weights=" + weights, "--key_map=" + key_map,
                     "--forward=" + inputs, "--out=" + outputs], capture_output=True, text=True)
                if finished.returncode:
                    sys.exit(f"{name}: {finished.stderr}")
                found.append(difference(safetensors.torch.load_file(outputs)["logits"], logits))
            models += 1
            fault = not all(value <= max(1e-5, 3 * noise) for value in found)  # NaN is one
            faults += fault
            print(f"| {name} | {parameters:,} | {found[0]:.1e} | {found[1]:.1e} | {noise:.1e} |" + " FAULT" * fault, flush=True)
    print(f"\n{models} models: {faults} faults")
    return faults > 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", action="store_true")
    parser.add_argument("--only", default="", help="part of a model's name")
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

    if options.models:
        return check_models(options.only)
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
