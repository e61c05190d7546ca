"""Networks without shortcuts: VGG with BatchNorm for 32 px (Simonyan & Zisserman 2015, arXiv:1409.1556; names of
parameters as HobbitLong/RepDistiller's weight files), the students and the teacher of the three-width experiment, and
the networks of the distillation notebook, all from their published descriptions."""

import torch
from torch import nn


class Vgg(nn.Module):
    """`layers` a stage."""

    def __init__(self, layers, classes, last_pool):
        super().__init__()
        self.last_pool = last_pool
        channels = 3
        for stage, (count, width) in enumerate(zip(layers, (64, 128, 256, 512, 512))):
            modules = []
            for _ in range(count):
                modules += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            self.add_module(f"block{stage}", nn.Sequential(*modules[:-1]))
            self.add_module(f"relu{stage}", nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, (2 / (9 * module.out_channels)) ** 0.5)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, 0, 0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x):
        x = self.relu0(self.block0(x))
        x = self.relu1(self.block1(self.pool(x)))
        x = self.relu2(self.block2(self.pool(x)))
        x = self.relu3(self.block3(self.pool(x)))
        x = self.relu4(self.block4(self.pool(x) if self.last_pool else x))
        return self.classifier(self.mean(x).flatten(1))


class PlainCnn(nn.Module):
    def __init__(self, widths, hidden, classes, size):
        super().__init__()
        modules, channels = [], 3
        for width in widths:
            modules += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*modules, nn.MaxPool2d(2))
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(channels * (size // 2) ** 2, hidden), nn.ReLU(), nn.Dropout(0), nn.Linear(hidden, classes)
        )

    def forward(self, x):
        return self.classifier(self.flatten(self.features(x)))


class NotebookCnn(nn.Module):
    def __init__(self, widths, convolutions, hidden, classes, size, raw_weight):
        super().__init__()
        if raw_weight:
            self.raw_weight = nn.Parameter(torch.tensor(0.5))
        normed = torch.nn.utils.weight_norm
        modules, channels = [], 3
        for width in widths:
            for _ in range(convolutions):
                modules += [normed(nn.Conv2d(channels, width, 3, padding=1)), nn.ELU(), nn.BatchNorm2d(width)]
                channels = width
            modules.append(nn.MaxPool2d(2))
            size //= 2
        self.features = nn.Sequential(*modules)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            normed(nn.Linear(channels * size * size, hidden)), nn.ELU(), nn.Dropout(0), nn.Linear(hidden, classes)
        )

    def forward(self, x):
        return self.classifier(self.flatten(self.features(x)))
