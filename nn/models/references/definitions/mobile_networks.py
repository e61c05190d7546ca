"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), ShuffleNetV1 (Zhang et al. 2018, arXiv:1707.01083) and
ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164) in the forms of the CIFAR-100 distillation benchmark. Names of parameters
are those of HobbitLong/RepDistiller's weight files."""

import torch
from torch import nn


def conv_norm(channels, width, kernel=1, stride=1, groups=1):
    return [nn.Conv2d(channels, width, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(width)]


class InvertedResidual(nn.Module):
    def __init__(self, channels, width, stride, expansion):
        super().__init__()
        hidden = channels * expansion
        self.conv = nn.Sequential(
            *conv_norm(channels, hidden),
            nn.ReLU(),
            *conv_norm(hidden, hidden, 3, stride, hidden),
            nn.ReLU(),
            *conv_norm(hidden, width),
        )
        self.shortcut = stride == 1 and channels == width

    def forward(self, x):
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, multiplier, classes):
        super().__init__()
        channels = int(32 * multiplier)
        self.conv1 = nn.Sequential(*conv_norm(3, channels, 3, 2), nn.ReLU())
        self.blocks = nn.ModuleList()
        for expansion, width, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):
            stage = nn.Sequential()
            for i in range(count):
                stage.append(InvertedResidual(channels, int(width * multiplier), stride if i == 0 else 1, expansion))
                channels = int(width * multiplier)
            self.blocks.append(stage)
        head = int(1280 * max(1, multiplier))
        self.conv2 = nn.Sequential(*conv_norm(channels, head), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(head, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, (2 / (module.weight[0, 0].numel() * module.out_channels)) ** 0.5)
        nn.init.normal_(self.classifier[0].weight, 0, 0.01)
        nn.init.zeros_(self.classifier[0].bias)

    def forward(self, x):
        x = self.conv1(x)
        for stage in self.blocks:
            x = stage(x)
        return self.classifier(self.pool(self.conv2(x)).flatten(1))


def shuffle(x, groups):
    b, c, h, w = x.shape
    return x.reshape(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)


class ShuffleV1Block(nn.Module):
    def __init__(self, channels, width, groups, first_groups, stride):
        super().__init__()
        branch = width - channels if stride == 2 else width
        self.groups, self.stride = first_groups, stride
        self.conv1, self.bn1 = conv_norm(channels, branch // 4, groups=first_groups)
        self.conv2, self.bn2 = conv_norm(branch // 4, branch // 4, 3, stride, branch // 4)
        self.conv3, self.bn3 = conv_norm(branch // 4, branch, groups=groups)
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = shuffle(torch.relu(self.bn1(self.conv1(x))), self.groups)
        y = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(y)))))
        return self.relu(torch.cat([y, self.pool(x)], 1) if self.stride == 2 else y + x)


class ShuffleNetV1(nn.Module):
    def __init__(self, width, groups, classes):
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, 24)
        self.relu = nn.ReLU()
        channels = 24
        for stage, count in enumerate((4, 8, 4)):
            blocks = nn.Sequential()
            for i in range(count):
                first_groups = 1 if channels == 24 else groups
                blocks.append(ShuffleV1Block(channels, width << stage, groups, first_groups, 2 if i == 0 else 1))
                channels = width << stage
            self.add_module(f"layer{stage + 1}", blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(self.pool(x).flatten(1))


class ShuffleV2Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.conv1, self.bn1 = conv_norm(half, half)
        self.conv2, self.bn2 = conv_norm(half, half, 3, groups=half)
        self.conv3, self.bn3 = conv_norm(half, half)
        self.preact = nn.Identity()

    def forward(self, x):
        left, right = x.chunk(2, 1)
        right = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(right)))))
        right = self.bn3(self.conv3(right))
        self.preact(torch.cat([left, right], 1))
        return shuffle(torch.cat([left, torch.relu(right)], 1), 2)


class ShuffleV2Down(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = conv_norm(channels, channels, 3, 2, channels)
        self.conv2, self.bn2 = conv_norm(channels, half)
        self.conv3, self.bn3 = conv_norm(channels, half)
        self.conv4, self.bn4 = conv_norm(half, half, 3, 2, half)
        self.conv5, self.bn5 = conv_norm(half, half)

    def forward(self, x):
        left = torch.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(torch.relu(self.bn3(self.conv3(x)))))
        return shuffle(torch.cat([left, torch.relu(self.bn5(self.conv5(right)))], 1), 2)


class ShuffleNetV2(nn.Module):
    def __init__(self, width, head, classes):
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, 24)
        self.relu = nn.ReLU()
        channels = 24
        for stage, count in enumerate((4, 8, 4)):
            blocks = [ShuffleV2Down(channels, width << stage)]
            blocks += [ShuffleV2Block(width << stage) for _ in range(count - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            channels = width << stage
        self.conv2, self.bn2 = conv_norm(channels, head)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(head, classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(self.pool(torch.relu(self.bn2(self.conv2(x)))).flatten(1))
