"""The cases of make_references.py: which Python model each of our configs must equal."""

import dataclasses
from typing import Callable

import torch
import torchvision

K = 10


@dataclasses.dataclass
class Case:
    name: str
    config: str  # of retort.config.Model
    source: str  # where the Python model comes from
    build: Callable[[], torch.nn.Module]  # with 10 classes
    # our tap -> the Python module whose output it is, or (module, "input"); "embedding" too
    taps: dict
    height: int = 64
    width: int = 64
    channels: int = 3
    initialises: bool = True  # whether the Python model starts from the weights that ours must start from
    logits: Callable = lambda model, x: model(x)  # of the training mode


def resnet(depth, blocks, stem="IMAGENET", **size):
    """torchvision.models.resnet<depth>; `blocks` a stage, to find the ReLUs."""

    def build():
        model = getattr(torchvision.models, f"resnet{depth}")(num_classes=K)
        if stem == "CIFAR":
            model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
            model.maxpool = torch.nn.Identity()
        return model

    taps = {"stem.preact": ("relu", "input"), "stem": "relu", "embedding": "avgpool"}
    for stage, count in enumerate(blocks, 1):
        last = f"layer{stage}.{count - 1}"
        taps[f"stage{stage}"] = last
        taps[f"stage{stage}.preact"] = (last + ".relu", "input")  # the last of its calls
    return Case(
        name=f"resnet{depth}" + ("_cifar" if stem == "CIFAR" else ""),
        config=f"resnet {{ depth: RESNET_{depth} stem: {stem} }}",
        source=f"torchvision 0.26.0 models.resnet{depth}" + (", 3x3 stem, no pool" if stem == "CIFAR" else ""),
        build=build,
        taps=taps,
        initialises=stem == "IMAGENET",
        **size,
    )


FAMILIES = {
    "resnet": [
        resnet(18, [2, 2, 2, 2], height=64, width=80),
        resnet(34, [3, 4, 6, 3]),
        resnet(50, [3, 4, 6, 3]),
        resnet(50, [3, 4, 6, 3], stem="CIFAR", height=32, width=32),
        resnet(101, [3, 4, 23, 3]),
        resnet(152, [3, 8, 36, 3]),
    ],
}
