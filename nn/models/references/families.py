"""The cases of make_references.py: which Python model each of our configs must equal."""

import collections
import dataclasses
from typing import Callable

import timm
import torch
import torchvision
from definitions import vit as vit_definitions

K = 10


@dataclasses.dataclass
class Case:
    name: str
    config: str  # of retort.config.Model
    source: str  # where the Python model comes from
    build: Callable[[], torch.nn.Module]  # with 10 classes
    # our tap -> the Python module whose output it is, (module, "input"), or a function of model and images; "embedding" too
    taps: dict
    height: int = 64
    width: int = 64
    channels: int = 3
    initialises: bool = True  # whether the Python model starts from the weights that ours must start from
    heads: Callable = lambda model, x: (model(x),)  # logits of each classifier in training mode


def tutorial(name, layers, hidden, taps):
    """A network of the PyTorch distillation tutorial. layers: output channels of a convolution and its ReLU, or "pool"."""

    def build():
        features, channels, side = torch.nn.Sequential(), 3, 32
        for layer in layers:
            if layer == "pool":
                features.append(torch.nn.MaxPool2d(2))
                side //= 2
            else:
                features.append(torch.nn.Conv2d(channels, layer, 3, padding=1)).append(torch.nn.ReLU())
                channels = layer
        classifier = torch.nn.Sequential(
            torch.nn.Linear(channels * side**2, hidden), torch.nn.ReLU(), torch.nn.Dropout(0), torch.nn.Linear(hidden, K)
        )
        return torch.nn.Sequential(
            collections.OrderedDict(features=features, flatten=torch.nn.Flatten(), classifier=classifier)
        )

    return Case(
        name=name,
        config=f"{name} {{ dropout: 0 }}",
        source="pytorch/tutorials: beginner_source/knowledge_distillation_tutorial.py",
        build=build,
        taps={**taps, "features": "features", "embedding": "flatten"},
        height=32,
        width=32,
    )


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


def vit(name, config, height=64, width=64, distilled=False, **options):
    """timm's VisionTransformer; `options` are its arguments."""

    def build():
        family = timm.models.deit.VisionTransformerDistilled if distilled else timm.models.VisionTransformer
        model = family(img_size=(height, width), num_classes=K, **options)
        model.distilled_training = True
        for block in model.blocks:
            block.attn.fused_attn = False  # so that attn_drop sees the probabilities
        return model

    taps = {
        "embed": "pos_drop",
        "embedding": lambda model, x: model.forward_head(model.forward_features(x), pre_logits=True),
    }
    for block in range(options["depth"]):
        taps[f"block{block + 1}.attention"] = f"blocks.{block}.attn.attn_drop"
        taps[f"block{block + 1}"] = f"blocks.{block}"
    return Case(
        name=name,
        config=f"vit {{ {config} }}",
        source="timm 1.0.31 " + ("VisionTransformerDistilled" if distilled else "VisionTransformer"),
        build=build,
        taps=taps,
        height=height,
        width=width,
        heads=(lambda model, x: model(x)) if distilled else (lambda model, x: (model(x),)),
    )


def multi_view_student():
    taps = {"embed": "tokens"}
    for block in range(6):
        taps[f"block{block + 1}"] = f"blocks.{block}"
    return Case(
        name="multi_view_student",
        config="vit { patch: 4 depth: 6 norm_eps: 1e-5 class_token_init: TRUNCATED_NORMAL }",
        source="definitions/vit.py",
        build=lambda: vit_definitions.MultiViewStudent(K),
        taps=taps,
        height=32,
        width=32,
    )


FAMILIES = {
    "deep_nn": [
        tutorial("deep_nn", [128, 64, "pool", 64, 32, "pool"], 512,
                 {"conv1": "features.1", "conv2": "features.4", "conv3": "features.6"}),
    ],
    "light_nn": [tutorial("light_nn", [16, "pool", 16, "pool"], 256, {"conv1": "features.2"})],
    "resnet": [
        resnet(18, [2, 2, 2, 2], height=64, width=80),
        resnet(34, [3, 4, 6, 3]),
        resnet(50, [3, 4, 6, 3]),
        resnet(50, [3, 4, 6, 3], stem="CIFAR", height=32, width=32),
        resnet(101, [3, 4, 23, 3]),
        resnet(152, [3, 8, 36, 3]),
    ],
    "vit": [
        vit("tiny16", "", patch_size=16, embed_dim=192, depth=12, num_heads=3),
        vit("small32", "patch: 32 width: 384 depth: 3 heads: 6", width=96, patch_size=32, embed_dim=384, depth=3, num_heads=6),
        vit("base16_depth2", "width: 768 depth: 2 heads: 12", patch_size=16, embed_dim=768, depth=2, num_heads=12),
        vit("large32_depth2", "patch: 32 width: 1024 depth: 2 heads: 16", patch_size=32, embed_dim=1024, depth=2, num_heads=16),
        vit("deit_tiny16", "depth: 3 distillation_token: true", distilled=True, patch_size=16, embed_dim=192, depth=3,
            num_heads=3),
        vit("mean", "depth: 2 pool: MEAN", patch_size=16, embed_dim=192, depth=2, num_heads=3, global_pool="avg"),
        vit("mean_without_class_token", "depth: 1 pool: MEAN class_token: false", patch_size=16, embed_dim=192, depth=1,
            num_heads=3, global_pool="avg", class_token=False),
        vit("narrow_mlp", "patch: 8 width: 96 depth: 2 heads: 4 mlp_ratio: 2.6 qkv_bias: false", height=40, width=24,
            patch_size=8, embed_dim=96, depth=2, num_heads=4, mlp_ratio=2.6, qkv_bias=False),
        multi_view_student(),
    ],
}
