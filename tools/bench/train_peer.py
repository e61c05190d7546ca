"""The other side of tools/bench/train.py: a step of PyTorch's optimisers over 65 parameters of 4096 numbers, each in its three
forms: the loop that is PyTorch's own choice on a CPU, foreach and fused. Units are steps; see turn.h."""

import argparse

import torch
from turns import sgemm, take_turns, timed

FORMS = {"loop": {"foreach": False, "fused": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
STEPS = 1000


def steps(build):
    """A thousand steps a round, on gradients that stay as they are."""
    parameters = [torch.nn.Parameter(torch.randn(4096)) for _ in range(65)]
    for parameter in parameters:
        parameter.grad = torch.randn(4096)
    optimizer = build(parameters)

    def work():
        for _ in range(STEPS):
            optimizer.step()
    return lambda: timed(STEPS, work)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    torch.set_num_threads(parser.parse_args().threads)
    torch.set_flush_denormal(True)
    cases = {"sgemm": sgemm}
    for form, arguments in FORMS.items():
        cases[f"sgd_{form}"] = lambda arguments=arguments: steps(
            lambda parameters: torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, **arguments))
        cases[f"adamw_{form}"] = lambda arguments=arguments: steps(
            lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2, **arguments))
    take_turns(cases)


if __name__ == "__main__":
    main()
