#!/usr/bin/env python3
"""Writes what the Python libraries compute: nn/models/references/<family>.json, read by reference_test.cc.

    python3 make_references.py [FAMILY...]

For each case of a family (families.py) it takes the library's model and records

  - names and shapes of all tensors, the number of parameters, a fingerprint of each tensor right after
    torch.manual_seed(42) and construction (or none, where the library has no model of that kind);
  - in evaluation mode, float64: logits of 1 and of 7 images, fingerprints of embedding and taps, and how far PyTorch's
    own float32 is from that, contiguous or channels_last;
  - in training mode the same logits, of each classifier (of 1 image where BatchNorm takes that), and for 7 images a
    fingerprint of each parameter's gradient, with the norm of what float32 has it wrong by;
  - after three steps of SGD on 7 images each: the same logits, and a fingerprint of each running statistic.

Before computing, every weight and statistic is moved off its default: see fill(). All pseudo-random numbers come from
hash_uniform(), which the test computes too, so no weights need to be stored.
"""

import copy
import json
import os
import sys

import numpy
import torch

MASK = (1 << 64) - 1
CLASSES = 10
STEPS = 3
RATE = 1e-5


def hash_uniform(name, count):
    """float64 in [-1, 1): splitmix64 of FNV-1a(name) + 0x9e3779b97f4a7c15 (j + 1)."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + numpy.uint64(0x9E3779B97F4A7C15) * numpy.arange(1, count + 1, dtype=numpy.uint64)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    return (z >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-52 - 1.0


def fill_value(name, shape):
    """What fill() puts into the tensor `name`; float32 values."""
    count = int(numpy.prod(shape, dtype=numpy.int64))
    u = hash_uniform(name, count)
    if len(shape) >= 2:
        fan_in = count // shape[0]
        values = u * numpy.sqrt((6.0 if len(shape) == 4 else 3.0) / fan_in)
    elif name.endswith("running_var"):
        values = 1 + 0.3 * u
    elif name.endswith("weight"):
        values = 1 + 0.2 * u
    else:
        values = 0.1 * u
    return torch.from_numpy(values.astype(numpy.float32)).reshape(tuple(shape))


def fill(model):
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(torch.tensor(3) if name.endswith("num_batches_tracked") else fill_value(name, tensor.shape))


def images(name, batch, case):
    shape = (batch, case.channels, case.height, case.width)
    values = 1.7 * hash_uniform(name, int(numpy.prod(shape)))
    return torch.from_numpy(values.astype(numpy.float32)).reshape(shape)


def fingerprint(tensor):
    """[sum over j of t_j u_j, the Euclidean norm of t], u = hash_uniform("fingerprint")."""
    flat = tensor.detach().to(torch.float64).reshape(-1).numpy()
    return [float(flat @ hash_uniform("fingerprint", flat.size)), float(numpy.linalg.norm(flat))]


def rows(tensor):
    return [[float(f"{value:.10g}") for value in row] for row in tensor.detach().to(torch.float64).tolist()]


def noise(single, double):
    """Largest difference of two [B,K], relative to the row's largest magnitude."""
    double = double.detach()
    return float(((single.detach().double() - double).abs().amax(1) / double.abs().amax(1)).max())


def train(model, case):
    """Three steps of plain SGD; dropout is off in all cases. Logits of each classifier and gradients of the first."""
    model.train()
    dtype = next(model.parameters()).dtype
    labels = torch.arange(7) % CLASSES
    first = None
    for step in range(STEPS):
        heads = case.heads(model, images(f"step{step}", 7, case).to(dtype))
        loss = sum(torch.nn.functional.cross_entropy(logits, labels) for logits in heads) / len(heads)
        gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        first = first or (heads, dict(zip((name for name, _ in model.named_parameters()), gradients)))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients):
                if gradient is not None:
                    parameter -= RATE * gradient
    model.eval()
    return first


def train_logits_of_one(model, case):
    """Logits of each classifier for a batch of 1 in training mode, or None where BatchNorm refuses it; changes nothing."""
    model = copy.deepcopy(model).train()
    try:
        with torch.no_grad():
            return case.heads(model, images("images", 1, case).to(next(model.parameters()).dtype))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        return None


def training_logits(singles, double):
    """Exact logits of each classifier, and float32's largest error."""
    return {
        "heads": [rows(head) for head in double],
        "noise": max(noise(ours, exact) for single in singles for ours, exact in zip(single, double)),
    }


def add_gradients(tensors, singles, double):
    """Gives each trained tensor's entry its gradient's fingerprint and the norm of float32's error."""
    for entry in tensors:
        exact = double.get(entry["name"])
        if exact is None:
            continue
        error = max(float((single[entry["name"]].double() - exact).norm()) for single in singles)
        entry["gradient"] = [float(f"{value:.8g}") for value in fingerprint(exact)] + [float(f"{error:.2g}")]


def capture(model, case, x):
    """What the case's taps are, by tap name: {tap: "module.path"}, {tap: ("module.path", "input")} or {tap: f(model, x)}."""
    found, handles = {}, []
    modules = dict(model.named_modules())

    def keep(tap):
        def hook(_, arguments, *output):
            found[tap] = (output[0] if output else arguments[0]).detach().clone()

        return hook

    for tap, where in case.taps.items():
        if callable(where):
            with torch.no_grad():
                found[tap] = where(model, x).clone()
        elif isinstance(where, tuple):
            handles.append(modules[where[0]].register_forward_pre_hook(keep(tap)))
        else:
            handles.append(modules[where].register_forward_hook(keep(tap)))
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


def reference(case):
    torch.manual_seed(42)
    model = case.build()
    state = model.state_dict()
    tensors = []
    for name, tensor in state.items():
        entry = {"name": name, "shape": list(tensor.shape)}
        if case.initialises and tensor.dtype.is_floating_point:
            entry["initial"] = fingerprint(tensor)
        tensors.append(entry)
    parameters = {name for name, _ in model.named_parameters()}
    double = case.build().double()
    singles = [model, case.build().to(memory_format=torch.channels_last)]
    for each in (*singles, double):
        fill(each)
        each.eval()
    result = {
        "name": case.name,
        "source": case.source,
        "config": case.config,
        "channels": case.channels,
        "height": case.height,
        "width": case.width,
        "classes": CLASSES,
        "parameters": sum(state[name].numel() for name in parameters),
        "tensors": tensors,
    }
    with torch.no_grad():
        for batch in (1, 7):
            x = images("images", batch, case)
            exact = double(x.double())
            result[f"logits_{batch}"] = rows(exact)
            if batch == 7:
                result["noise"] = max(noise(single(x), exact) for single in singles)
    captured = capture(double, case, images("images", 7, case).double())
    result["taps"] = {
        tap: {"shape": list(value.shape), "fingerprint": fingerprint(value)}
        for tap, value in captured.items()
        if tap != "embedding"
    }
    if "embedding" in captured:
        embedding = captured["embedding"].flatten(1)
        result["embedding"] = {"shape": list(embedding.shape), "fingerprint": fingerprint(embedding)}

    of_one = [train_logits_of_one(each, case) for each in (*singles, double)]
    logits, gradients = zip(*[train(each, case) for each in (*singles, double)])
    result["training"] = {"7": training_logits(logits[:-1], logits[-1])}
    if of_one[-1] is not None:
        result["training"]["1"] = training_logits(of_one[:-1], of_one[-1])
    add_gradients(tensors, gradients[:-1], gradients[-1])
    with torch.no_grad():
        x = images("images", 7, case)
        exact = double(x.double())
        result["trained"] = {
            "logits": rows(exact),
            "noise": max(noise(single(x), exact) for single in singles),
            "buffers": {
                name: fingerprint(buffer) if buffer.dtype.is_floating_point else int(buffer)
                for name, buffer in double.named_buffers()
            },
        }
    return result


def compact(value):
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, list):
        return [compact(item) for item in value]
    if isinstance(value, dict):
        return {key: compact(item) for key, item in value.items()}
    return value


def main():
    import families

    torch.set_num_threads(2)
    for family in sys.argv[1:] or families.FAMILIES:
        cases = []
        for case in families.FAMILIES[family]:
            print(family, case.name, flush=True)
            cases.append(compact(reference(case)))
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), family + ".json")
        with open(path, "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
