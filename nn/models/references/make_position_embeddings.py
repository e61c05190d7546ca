#!/usr/bin/env python3
"""Writes position_embedding.json: what timm.layers.resample_abs_pos_embed gives. Element j of an embedding, in row-major
order, is sin(0.37 j^2)."""

import json
import os

import timm
import torch

# Rows and columns of the old and of the new grid, tokens without a place, width.
CASES = [
    (7, 7, 10, 10, 1, 2),
    (14, 14, 7, 7, 1, 2),
    (4, 4, 3, 9, 2, 3),
    (2, 8, 4, 4, 1, 2),
    (1, 1, 2, 3, 0, 2),
]


def main():
    cases = []
    for rows, columns, new_rows, new_columns, prefix, width in CASES:
        shape = (1, prefix + rows * columns, width)
        embedding = torch.arange(shape[1] * width, dtype=torch.float64).square().mul(0.37).sin().float().reshape(shape)
        result = timm.layers.resample_abs_pos_embed(
            embedding, [new_rows, new_columns], [rows, columns], num_prefix_tokens=prefix
        )
        cases.append({
            "source": [rows, columns],
            "target": [new_rows, new_columns],
            "prefix": prefix,
            "width": width,
            "result": [float(f"{value:.8g}") for value in result.flatten().tolist()],
        })
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "position_embedding.json")
    with open(path, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
