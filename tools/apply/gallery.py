#!/usr/bin/env python3
"""Draws docs/pictures/augmentations.png: every augmentation on one image. Run by hand, with a Python that has Pillow.

    bazel build //tools:apply && tools/apply/gallery.py bazel-bin/tools/apply/apply procedural:train:11 augmentations.png
"""

import os
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw, ImageFont

# Caption, flags of //tools:apply.
VIEWS = [
    ("identity", ["--op=identity"]),
    *[(f"{op} {argument}", [f"--op={op}", f"--argument={argument}"]) for op, argument in [
        ("shear_x", 0.3), ("shear_y", 0.3), ("translate_x", 9), ("translate_y", 9), ("rotate", 25), ("brightness", 1.6), ("color", 0.1),
        ("contrast", 1.8), ("sharpness", 4), ("posterize", 2), ("solarize", 110)]],
    *[(op, [f"--op={op}"]) for op in ["autocontrast", "equalize", "invert"]],
    ("hue 0.25", ["--op=hue", "--argument=0.25"]),
    *[(caption, [f"--augment={' '.join(f'step {{ {step} }}' for step in steps)}", "--seed=6"]) for caption, steps in [
        ("crop", ["crop {}"]), ("crop, reflected", ["crop { border: REFLECT }"]), ("flip", ["flip { probability: 1 }"]),
        ("cutout", ["cutout {}"]), ("random_resized_crop", ["random_resized_crop { size: 32 }"]),
        ("random_erasing", ["random_resized_crop { size: 32 }", "random_erasing { probability: 1 }"])]],
    *[(caption, [f"--augment=step {{ {step} }}", "--grid=4", "--seed=6"]) for caption, step in [
        ("auto_augment", "auto_augment {}"), ("rand_augment", "rand_augment {}"), ("trivial_augment", "trivial_augment {}"),
        ("aug_mix", "aug_mix {}"),
        ("color_jitter", "color_jitter { brightness { min: 0.6 max: 1.4 } saturation { min: 0.2 max: 1.8 } hue { min: -0.2 max: 0.2 } }")]],
]
CELL, GAP, CAPTION, COLUMNS = 112, 10, 16, 9


def main():
    apply, image, out = sys.argv[1:]
    rows = -(-len(VIEWS) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (CELL + GAP) + GAP, rows * (CELL + GAP + CAPTION) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "view.png")
        for i, (caption, flags) in enumerate(VIEWS):
            subprocess.run([apply, *flags, image, path], check=True)
            x, y = GAP + i % COLUMNS * (CELL + GAP), GAP + i // COLUMNS * (CELL + GAP + CAPTION)
            sheet.paste(Image.open(path).resize((CELL, CELL), Image.Resampling.NEAREST), (x, y))
            draw.text((x, y + CELL + 2), caption.replace("_", " "), fill="black", font=font)
    sheet.quantize(256).save(out, optimize=True)


if __name__ == "__main__":
    main()
