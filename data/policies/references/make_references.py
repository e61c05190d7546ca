#!/usr/bin/env python3
"""Writes torchvision.json, read by augment_policy_test.cc: what torchvision's AutoAugment, RandAugment, TrivialAugmentWide
and AugMix choose from. Written with torchvision 0.26.0.

    spaces    of a class and image size: each op's magnitude at each level, and whether it has a sign
    policies  AutoAugment's pairs: op, probability, level of 0..9 or null
"""

import json
import os
import re

from torchvision.transforms import autoaugment

SIZES = [(32, 32), (224, 176)]  # height, width


def our_name(op):
    return "autocontrast" if op == "AutoContrast" else re.sub("(?<!^)(?=[A-Z])", "_", op).lower()


def space(name, bins, size, ops):
    return {
        "space": name,
        "bins": bins,
        "size": size,
        "ops": {
            our_name(op): {"magnitudes": magnitudes.tolist() if magnitudes.ndim else None, "signed": signed}
            for op, (magnitudes, signed) in ops.items()
        },
    }


def main():
    spaces = []
    for size in SIZES:
        spaces.append(space("auto_augment", 10, size, autoaugment.AutoAugment()._augmentation_space(10, size)))
        for bins in (31, 10, 100):
            spaces.append(space("rand_augment", bins, size, autoaugment.RandAugment()._augmentation_space(bins, size)))
        for all_ops in (False, True):
            spaces.append(space("aug_mix", 10, size, autoaugment.AugMix(all_ops=all_ops)._augmentation_space(10, size)))
    for bins in (31, 11):
        spaces.append(space("trivial_augment", bins, SIZES[0], autoaugment.TrivialAugmentWide()._augmentation_space(bins)))
    policies = {
        policy.name: [[[our_name(op), probability, level] for op, probability, level in pair]
                      for pair in autoaugment.AutoAugment(policy).policies]
        for policy in autoaugment.AutoAugmentPolicy
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torchvision.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write('{\n"spaces": [\n' + ",\n".join(json.dumps(one) for one in spaces) + '\n],\n"policies": {\n')
        file.write(",\n".join(f"{json.dumps(name)}: {json.dumps(pairs)}" for name, pairs in policies.items()) + "\n}\n}\n")


if __name__ == "__main__":
    main()
