"""The other side of tools/bench/models.py: one model of nn/models/references/families.py, eagerly or through torch.compile,
in channels_last, on images of 32 px. Answers "forward" and "training_step" with images a second; see turn.h."""

import argparse
import os
import sys
import time

import torch
from turns import HERE, sgemm, take_turns

sys.path.insert(0, os.path.join(HERE, "../../nn/models/references"))
import families  # noqa: E402


def repeat(step, batch):
    """Runs `step` for at least a second."""
    start = time.perf_counter()
    images = 0
    while True:
        step()
        images += batch
        elapsed = time.perf_counter() - start
        if elapsed >= 1:
            return images, elapsed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", required=True)
    parser.add_argument("--case", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--dtype", choices=("f32", "bf16"), required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    case = next(case for case in families.FAMILIES[options.family] if case.name == options.case)
    images = torch.randn(options.batch, 3, 32, 32)
    images = images.to(dtype).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(families.K, (options.batch,))

    def set_up(training):
        torch.manual_seed(1)
        model = case.build().to(dtype).to(memory_format=torch.channels_last).train(training)
        for module in model.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = True  # the references turn it off, to see the probabilities
        return model, torch.compile(model) if options.compile else model

    def forward():
        _, run = set_up(training=False)

        def step():
            with torch.no_grad():
                run(images)
        return lambda: repeat(step, options.batch)

    def training_step():
        model, run = set_up(training=True)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)

        def step():
            torch.nn.functional.cross_entropy(run(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return lambda: repeat(step, options.batch)

    take_turns({"forward": forward, "training_step": training_step, "sgemm": sgemm})


if __name__ == "__main__":
    main()
