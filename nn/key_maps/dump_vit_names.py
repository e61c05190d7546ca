#!/usr/bin/env python3
"""Prints vit_names.json: names and shapes of ViTs' tensors, as torchvision 0.26 and timm 1.0.31 give them.

    python3 nn/key_maps/dump_vit_names.py > nn/key_maps/vit_names.json
"""

import json

import timm
import torchvision

PAIRS = {"vit_b_16": "vit_base_patch16_224", "vit_l_16": "vit_large_patch16_224"}


def names(model):
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


print(json.dumps({ours: {"torchvision": names(getattr(torchvision.models, ours)()), "timm": names(timm.create_model(theirs))}
                  for ours, theirs in PAIRS.items()}))
