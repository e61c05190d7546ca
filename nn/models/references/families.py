"""The cases of make_references.py: which Python model each of our configs must equal."""

import collections
import dataclasses
from typing import Callable

import timm
import torch
import torchvision
from definitions import mobile_networks, plain_networks, residual_networks
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


def output_of(module, then):
    """A tap: `then` of what the module gives in a pass, or of its last pass."""

    def tap(model, x):
        kept = []
        handle = model.get_submodule(module).register_forward_hook(lambda _, __, output: kept.append(output.clone()))
        model(x)
        handle.remove()
        return then(kept[-1])

    return tap


def pooled(value):
    return torch.nn.functional.max_pool2d(value, 2)


def tutorial(name, layers, hidden, taps):
    """A network of the PyTorch distillation tutorial. layers: output channels of a convolution and its ReLU, or "pool".
    taps: the index of each tap's convolution, and whether a pool follows."""

    def preactivation(index, pools):
        return output_of(f"features.{index}", pooled) if pools else f"features.{index}"

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
        taps={
            **{tap: f"features.{index + 1 + pools}" for tap, (index, pools) in taps.items()},
            **{tap + ".preact": preactivation(index, pools) for tap, (index, pools) in taps.items()},
            "embedding": "flatten",
        },
        height=32,
        width=32,
    )


def resnet(depth, blocks, stem="IMAGENET", zero_init=False, **size):
    """torchvision.models.resnet<depth>; `blocks` a stage, to find the ReLUs."""

    def build():
        model = getattr(torchvision.models, f"resnet{depth}")(num_classes=K, zero_init_residual=zero_init)
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
        name=f"resnet{depth}" + ("_cifar" if stem == "CIFAR" else "_zero_init" if zero_init else ""),
        config=f"resnet {{ depth: RESNET_{depth} stem: {stem}" + (" zero_init_residual: true }" if zero_init else " }"),
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
    taps = {"embed": "tokens", "embedding": "token"}
    for block in range(6):
        taps[f"block{block + 1}.attention"] = f"blocks.{block}.attn.probabilities"
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


def stages(names, last="{}", preact="{}.relu", stem="relu"):
    """Taps of ReLU-ended stages: `last` of a stage's name is the module whose output it is; stem is a ReLU too."""
    taps = {"stem": stem, "stem.preact": (stem, "input")}
    for stage, name in enumerate(names, 1):
        taps[f"stage{stage}"] = last.format(name)
        taps[f"stage{stage}.preact"] = (preact.format(name), "input")
    return taps


def small_resnet(name, config, blocks, stem_width=16, stage_width=16, fan_out=True, **size):
    last = [f"layer{stage}.{count - 1}" for stage, count in enumerate(blocks, 1)]
    return Case(
        name=name,
        config=config,
        source="definitions/residual_networks.py ResNet",
        build=lambda: residual_networks.ResNet(stem_width, stage_width, blocks, K, fan_out),
        taps={**stages(last), "embedding": "pool"},
        **{"height": 32, "width": 32, **size},
    )


def wide_resnet(depth, widen, **size):
    taps = {"embedding": "pool"}
    for tap, module, norm in (
        ("stem", "conv1", "block1.layer.0.bn1"),
        ("stage1", "block1", "block2.layer.0.bn1"),
        ("stage2", "block2", "block3.layer.0.bn1"),
        ("stage3", "block3", "bn1"),
    ):
        taps.update({tap: module, tap + ".preact": norm, tap + ".act": output_of(norm, torch.relu)})
    return Case(
        name=f"wrn_{depth}_{widen}",
        config=f"wide_resnet {{ depth: {depth} widen: {widen} }}",
        source="definitions/residual_networks.py WideResNet",
        build=lambda: residual_networks.WideResNet(depth, widen, K),
        taps=taps,
        **{"height": 32, "width": 32, **size},
    )


def vgg(depth, layers, size):
    taps = {"stem": "relu0", "stem.preact": "block0", "embedding": "mean"}
    for stage in range(1, 5):
        taps[f"stage{stage}"] = f"relu{stage}"
        taps[f"stage{stage}.preact"] = f"block{stage}"
    return Case(
        name=f"vgg{depth}_{size}px",
        config=f"vgg {{ depth: VGG_{depth} }}",
        source="definitions/plain_networks.py Vgg",
        build=lambda: plain_networks.Vgg(layers, K, last_pool=size == 64),
        taps=taps,
        height=size,
        width=size,
    )


def plain_cnn(widths, hidden):
    return Case(
        name="plain_" + "x".join(map(str, widths + [hidden])),
        config=f"plain_cnn {{ convolutions: {widths} hidden: {hidden} }}",
        source="definitions/plain_networks.py PlainCnn",
        build=lambda: plain_networks.PlainCnn(widths, hidden, K, 32),
        taps={
            **{f"conv{i + 1}": f"features.{2 * i + 1}" for i in range(len(widths) - 1)},
            **{f"conv{i + 1}.preact": f"features.{2 * i}" for i in range(len(widths) - 1)},
            "features": "features",
            "features.preact": output_of(f"features.{2 * len(widths) - 2}", pooled),
            "embedding": "flatten",
        },
        height=32,
        width=32,
    )


def notebook(name, config, widths, convolutions, hidden, raw_weight=False):
    pools = [3 * convolutions * (stage + 1) + stage for stage in range(len(widths))]
    names = [f"stage{stage + 1}" for stage in range(len(widths) - 1)] + ["features"]
    return Case(
        name=name,
        config=config,
        source="definitions/plain_networks.py NotebookCnn",
        build=lambda: plain_networks.NotebookCnn(widths, convolutions, hidden, K, 32, raw_weight),
        taps={
            **{name: f"features.{index}" for name, index in zip(names, pools)},
            **{name + ".preact": f"features.{index - 3}" for name, index in zip(names, pools)},
            "embedding": "flatten",
        },
        height=32,
        width=32,
    )


def torchvision_model(name, config, build, stage_modules, stem="features.0", pool="avgpool", activated=True, **size):
    """A model of torchvision.models that names its stages' last modules. `activated`: the stem is convolution, norm,
    activation."""
    taps = {"stem": stem, "embedding": pool}
    if activated:
        taps["stem.preact"] = stem + ".1"
    taps.update({f"stage{stage}": module for stage, module in enumerate(stage_modules, 1)})
    return Case(name=name, config=config, source="torchvision 0.26.0 models." + name, build=build, taps=taps, **size)


def mobilenet_v2(multiplier, **size):
    return torchvision_model(
        f"mobilenet_v2_{multiplier}".replace(".", "_"),
        f"mobilenet_v2 {{ width_multiplier: {multiplier} dropout: 0 }}",
        lambda: torchvision.models.mobilenet_v2(num_classes=K, width_mult=multiplier, dropout=0),
        ["features.3", "features.6", "features.13", "features.17"],
        pool=("classifier.0", "input"),
        **size,
    )


def mobilenet_v3(size, stages, multiplier=1.0):
    return torchvision_model(
        f"mobilenet_v3_{size}",
        f"mobilenet_v3 {{ size: {size.upper()} width_multiplier: {multiplier} dropout: 0 }}",
        lambda: getattr(torchvision.models, f"mobilenet_v3_{size}")(num_classes=K, width_mult=multiplier, dropout=0),
        stages,
    )


def shufflenet_v2(size, **shape):
    def preactivation(block):
        """Both halves of a block's output before they are shuffled, the right one before its ReLU."""

        def tap(model, x):
            left = []
            handle = model.get_submodule(block).register_forward_pre_hook(lambda _, x: left.append(x[0].chunk(2, 1)[0]))
            right = output_of(block + ".branch2.6", lambda value: value)(model, x)
            handle.remove()
            return torch.cat([left[0], right], 1)

        return tap

    taps = {"stem": "conv1", "stem.preact": "conv1.1", "embedding": output_of("conv5", lambda value: value.mean((2, 3)))}
    for stage, blocks in enumerate((4, 8, 4), 1):
        taps[f"stage{stage}"] = f"stage{stage + 1}"
        taps[f"stage{stage}.preact"] = preactivation(f"stage{stage + 1}.{blocks - 1}")
    return Case(
        name=f"shufflenet_v2_x{size}",
        config=f"shufflenet_v2 {{ size: X{size} }}",
        source=f"torchvision 0.26.0 models.shufflenet_v2_x{size}",
        build=lambda: getattr(torchvision.models, f"shufflenet_v2_x{size}")(num_classes=K),
        taps=taps,
        **shape,
    )


FAMILIES = {
    "deep_nn": [
        tutorial("deep_nn", [128, 64, "pool", 64, 32, "pool"], 512,
                 {"conv1": (0, False), "conv2": (2, True), "conv3": (5, False), "features": (7, True)}),
    ],
    "light_nn": [tutorial("light_nn", [16, "pool", 16, "pool"], 256, {"conv1": (0, True), "features": (3, True)})],
    "resnet": [
        resnet(18, [2, 2, 2, 2], height=64, width=80),
        resnet(18, [2, 2, 2, 2], zero_init=True, height=32, width=32),
        resnet(34, [3, 4, 6, 3]),
        resnet(50, [3, 4, 6, 3]),
        resnet(50, [3, 4, 6, 3], stem="CIFAR", height=32, width=32),
        resnet(101, [3, 4, 23, 3]),
        resnet(152, [3, 8, 36, 3]),
    ],
    "cifar_resnet": [
        small_resnet("resnet8", "cifar_resnet { depth: 8 }", [1, 1, 1]),
        small_resnet("resnet14", "cifar_resnet { depth: 14 }", [2, 2, 2]),
        small_resnet("resnet20", "cifar_resnet { depth: 20 }", [3, 3, 3], height=32, width=40),
        small_resnet("resnet32", "cifar_resnet { depth: 32 }", [5, 5, 5], height=16, width=24),
        small_resnet("resnet44", "cifar_resnet { depth: 44 }", [7, 7, 7], height=16, width=16),
        small_resnet("resnet56", "cifar_resnet { depth: 56 }", [9, 9, 9], height=16, width=16),
        small_resnet("resnet110", "cifar_resnet { depth: 110 }", [18, 18, 18], height=16, width=16),
        small_resnet("resnet8x4", "cifar_resnet { depth: 8 stem_width: 32 width: 64 }", [1, 1, 1], 32, 64),
        small_resnet("resnet32x4", "cifar_resnet { depth: 32 stem_width: 32 width: 64 }", [5, 5, 5], 32, 64, height=16,
                     width=16),
    ],
    "wide_resnet": [
        wide_resnet(10, 1, height=30, width=41),
        wide_resnet(16, 2),
        wide_resnet(40, 1, height=16, width=16),
        wide_resnet(40, 2, height=16, width=16),
    ],
    "vgg": [
        vgg(8, [1, 1, 1, 1, 1], 32),
        vgg(8, [1, 1, 1, 1, 1], 64),
        vgg(11, [1, 1, 2, 2, 2], 32),
        vgg(13, [2, 2, 2, 2, 2], 32),
        vgg(16, [2, 2, 3, 3, 3], 32),
        vgg(19, [2, 2, 4, 4, 4], 32),
    ],
    "residual": [
        small_resnet("depth15", "residual { depth: 15 }", [3, 2, 2], 64, 64, fan_out=False),
        small_resnet("depth30", "residual { depth: 30 width: 16 }", [5, 5, 4], 16, 16, fan_out=False),
    ],
    "plain_cnn": [plain_cnn([16, 32], 64), plain_cnn([8, 16, 24], 48)],
    "notebook_deep_nn": [notebook("deep_nn", "notebook_deep_nn { dropout: 0 }", [256, 128, 64, 32], 2, 32)],
    "notebook_light_nn": [notebook("light_nn", "notebook_light_nn { dropout: 0 }", [16, 16], 1, 256, True)],
    "mobilenet_v2": [
        mobilenet_v2(1.0, height=64, width=80),
        mobilenet_v2(0.35),
        Case(
            name="benchmark",
            config="mobilenet_v2 { form: BENCHMARK width_multiplier: 0.5 }",
            source="definitions/mobile_networks.py MobileNetV2",
            build=lambda: mobile_networks.MobileNetV2(0.5, K),
            taps={
                "stem": "conv1",
                "stem.preact": "conv1.1",
                "stage1": "blocks.1",
                "stage2": "blocks.2",
                "stage3": "blocks.4",
                "stage4": "blocks.6",
                "embedding": "pool",
            },
            height=32,
            width=32,
        ),
    ],
    "shufflenet_v1": [
        Case(
            name=f"groups{groups}",
            config=f"shufflenet_v1 {{ width: {width} groups: {groups} }}",
            source="definitions/mobile_networks.py ShuffleNetV1",
            build=lambda width=width, groups=groups: mobile_networks.ShuffleNetV1(width, groups, K),
            taps={**stages(["layer1.3", "layer2.7", "layer3.3"]), "embedding": "pool"},
            height=32,
            width=32,
        )
        for width, groups in ((240, 3), (200, 2))
    ],
    "shufflenet_v2": [
        Case(
            name="benchmark",
            config="shufflenet_v2 { form: BENCHMARK }",
            source="definitions/mobile_networks.py ShuffleNetV2",
            build=lambda: mobile_networks.ShuffleNetV2(116, 1024, K),
            taps={
                **stages(["layer1", "layer2", "layer3"]),
                "stage1.preact": "layer1.3.preact",
                "stage2.preact": "layer2.7.preact",
                "stage3.preact": "layer3.3.preact",
                "embedding": "pool",
            },
            height=32,
            width=32,
        ),
        shufflenet_v2("1_0", height=64, width=80),
        shufflenet_v2("0_5"),
    ],
    "mobilenet_v3": [
        mobilenet_v3("large", ["features.3", "features.6", "features.12", "features.15"]),
        mobilenet_v3("small", ["features.1", "features.3", "features.8", "features.11"], 0.75),
    ],
    "efficientnet": [
        torchvision_model(
            "efficientnet_b0",
            "efficientnet { dropout: 0 drop_path: 0 }",
            lambda: torchvision.models.efficientnet_b0(num_classes=K, dropout=0, stochastic_depth_prob=0),
            ["features.2", "features.3", "features.5", "features.7"],
        ),
    ],
    "convnext": [
        torchvision_model(
            "convnext_tiny",
            "convnext { drop_path: 0 }",
            lambda: torchvision.models.convnext_tiny(num_classes=K, stochastic_depth_prob=0),
            ["features.1", "features.3", "features.5", "features.7"],
            pool="classifier.0",
            activated=False,
        ),
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
