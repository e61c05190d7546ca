"""ResNets for 32 px of He et al. 2016 (arXiv:1512.03385), section 4.2, with projection shortcuts, and WRNs of Zagoruyko &
Komodakis 2016 (arXiv:1605.07146). Names of parameters are those of HobbitLong/RepDistiller's weight files."""

import torch
from torch import nn


def conv3x3(channels, width, stride=1):
    return nn.Conv2d(channels, width, 3, stride, 1, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = conv3x3(channels, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Sequential()
        if stride > 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        branch = self.bn2(self.conv2(torch.relu_(self.bn1(self.conv1(x)))))
        return self.relu(branch + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self, stem, width, blocks, classes, fan_out):
        super().__init__()
        self.conv1 = conv3x3(3, stem)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        channels = stem
        for stage, count in enumerate(blocks):
            layers = []
            for i in range(count):
                layers.append(BasicBlock(channels, width << stage, 2 if stage > 0 and i == 0 else 1))
                channels = width << stage
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)
        if fan_out:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.pool(x).flatten(1))


class WideBlock(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = conv3x3(channels, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        if channels != width:
            self.convShortcut = nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x):
        active = torch.relu_(self.bn1(x))
        branch = self.conv2(torch.relu_(self.bn2(self.conv1(active))))
        return branch + (self.convShortcut(active) if hasattr(self, "convShortcut") else x)


class WideStage(nn.Module):
    def __init__(self, channels, width, count, stride):
        super().__init__()
        self.layer = nn.Sequential(
            *[WideBlock(channels if i == 0 else width, width, stride if i == 0 else 1) for i in range(count)]
        )

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self, depth, widen, classes):
        super().__init__()
        count = (depth - 4) // 6
        self.conv1 = conv3x3(3, 16)
        self.block1 = WideStage(16, 16 * widen, count, 1)
        self.block2 = WideStage(16 * widen, 32 * widen, count, 2)
        self.block3 = WideStage(32 * widen, 64 * widen, count, 2)
        self.bn1 = nn.BatchNorm2d(64 * widen)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64 * widen, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, (2 / (module.weight[0, 0].numel() * module.out_channels)) ** 0.5)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(self.pool(torch.relu_(self.bn1(x))).flatten(1))
