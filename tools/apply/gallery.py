#!/usr/bin/env python3
"""Draws docs/pictures/augmentations.png: every augmentation on one image. Run by hand, with a Python that has Pillow.

    bazel build //tools:apply
    tools/apply/gallery.py bazel-bin/tools/apply/apply procedural:train:11 procedural:train:2 augmentations.png

The second image is the first one's partner where images are mixed.
"""

import os
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, CAPTION, COLUMNS = 112, 10, 16, 9


def steps(*names):
    return [f"--augment={' '.join(f'step {{ {name} }}' for name in names)}", "--seed=6"]


def cells(image, partner):
    """Caption, flags of //tools:apply and the image, cell by cell. Of policies there are two cells of four views each."""
    yield "identity", ["--op=identity"], image
    for op, argument in [("shear_x", 0.3), ("shear_y", 0.3), ("translate_x", 9), ("translate_y", 9), ("rotate", 25), ("brightness", 1.6),
                         ("color", 0.1), ("contrast", 1.8), ("sharpness", 4), ("posterize", 2), ("solarize", 110)]:
        yield f"{op} {argument}", [f"--op={op}", f"--argument={argument}"], image
    for op in ["autocontrast", "equalize", "invert"]:
        yield op, [f"--op={op}"], image
    yield "hue 0.25", ["--op=hue", "--argument=0.25"], image
    yield "crop", steps("crop {}"), image
    yield "crop, reflected", steps("crop { border: REFLECT }"), image
    yield "flip", steps("flip { probability: 1 }"), image
    yield "cutout", steps("cutout {}"), image
    yield "resize 16", steps("resize { size: 16 }", "center_crop { size: 16 }"), image
    yield "center_crop 20", steps("resize { size: 32 }", "center_crop { size: 20 }"), image
    yield "random_resized_crop", steps("random_resized_crop { size: 32 }"), image
    yield "random_erasing", steps("random_resized_crop { size: 32 }", "random_erasing { probability: 1 }"), image
    yield "partner", ["--op=identity"], partner
    yield "mixup", [*steps("mixup { alpha: 1 }"), "--view=1", f"--partner={partner}"], image
    yield "cut_mix", [*steps("cut_mix {}"), f"--partner={partner}"], image
    for policy in ["auto_augment", "rand_augment", "trivial_augment", "aug_mix"]:
        for caption, view in [(policy, 0), ("", 4)]:
            yield caption, [*steps(policy + " {}"), "--grid=4", f"--view={view}"], image
    jitter = "color_jitter { brightness { min: 0.6 max: 1.4 } saturation { min: 0.2 max: 1.8 } hue { min: -0.2 max: 0.2 } }"
    yield "color_jitter", [*steps(jitter), "--grid=4"], image


def main():
    apply, image, partner, out = sys.argv[1:]
    drawn = list(cells(image, partner))
    rows = -(-len(drawn) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (CELL + GAP) + GAP, rows * (CELL + GAP + CAPTION) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "view.png")
        for i, (caption, flags, source) in enumerate(drawn):
            subprocess.run([apply, *flags, source, path], check=True)
            x, y = GAP + i % COLUMNS * (CELL + GAP), GAP + i // COLUMNS * (CELL + GAP + CAPTION)
            sheet.paste(Image.open(path).resize((CELL, CELL), Image.Resampling.NEAREST), (x, y))
            draw.text((x, y + CELL + 2), caption.replace("_", " "), fill="black", font=font)
    sheet.quantize(256, kmeans=10).save(out, optimize=True)


if __name__ == "__main__":
    main()
