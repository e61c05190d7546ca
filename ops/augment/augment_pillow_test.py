#!/usr/bin/env python3
"""Compares the augment op with Pillow: random images and parameters, not one byte may differ.

    augment_pillow_test.py AUGMENT_CASES                  # as a test; Pillow is among its runfiles
    augment_pillow_test.py AUGMENT_CASES --torchvision

With --torchvision the reference is torchvision's functions on Pillow images instead of the calls to Pillow that they
make; run so by hand with a Python that has torchvision.
"""

import math
import os
import random
import struct
import subprocess
import sys

if "--torchvision" not in sys.argv:
    sys.path.insert(0, os.path.join(os.environ["TEST_SRCDIR"], "pillow"))

# Only now is it known where Pillow is.
from PIL import Image, ImageEnhance, ImageOps

CASES = 600
SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 3), (2, 9), (5, 4), (33, 31), (32, 32), (17, 40), (28, 28), (64, 48)]


def affine(image, matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=0)


def shear(image, x, y):
    """torchvision's affine with center [0, 0]: the inverse of a shear by angles."""
    x, y = (math.radians(math.degrees(math.atan(v))) for v in (x, y))
    a = math.cos(-y) / math.cos(y)
    b = -math.cos(-y) * math.tan(x) / math.cos(y) - math.sin(0.0)
    c = math.sin(-y) / math.cos(y)
    d = -math.sin(-y) * math.tan(x) / math.cos(y) + math.cos(0.0)
    return affine(image, [d, -b, 0.0, -c, a, 0.0])


def hue(image, turn):
    if image.mode == "L":
        return image
    h, s, v = image.convert("HSV").split()
    h = Image.frombytes("L", h.size, bytes((p + int(turn * 255)) % 256 for p in h.tobytes()))
    return Image.merge("HSV", (h, s, v)).convert(image.mode)


PILLOW = {
    "identity": lambda image, _: image,
    "shear_x": lambda image, m: shear(image, m, 0.0),
    "shear_y": lambda image, m: shear(image, 0.0, m),
    "translate_x": lambda image, m: affine(image, [1.0, 0.0, -float(int(m)), 0.0, 1.0, 0.0]),
    "translate_y": lambda image, m: affine(image, [1.0, 0.0, 0.0, 0.0, 1.0, -float(int(m))]),
    "rotate": lambda image, m: image.rotate(m, Image.Resampling.NEAREST, fillcolor=0),
    "brightness": lambda image, m: ImageEnhance.Brightness(image).enhance(m),
    "color": lambda image, m: ImageEnhance.Color(image).enhance(m),
    "contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(m),
    "sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(m),
    "posterize": lambda image, m: ImageOps.posterize(image, int(m)),
    "solarize": lambda image, m: ImageOps.solarize(image, m),
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "invert": lambda image, _: ImageOps.invert(image),
    "hue": hue,
}


def torchvision_functions():
    from torchvision.transforms import functional as F

    def shift(image, x, y):
        return F.affine(image, angle=0.0, translate=[x, y], scale=1.0, shear=[0.0, 0.0])

    def slant(image, x, y):
        angles = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
        return F.affine(image, angle=0.0, translate=[0, 0], scale=1.0, shear=angles, center=[0, 0])

    return {
        "identity": lambda image, _: image,
        "shear_x": lambda image, m: slant(image, m, 0.0),
        "shear_y": lambda image, m: slant(image, 0.0, m),
        "translate_x": lambda image, m: shift(image, int(m), 0),
        "translate_y": lambda image, m: shift(image, 0, int(m)),
        "rotate": F.rotate,
        "brightness": F.adjust_brightness,
        "color": F.adjust_saturation,
        "contrast": F.adjust_contrast,
        "sharpness": F.adjust_sharpness,
        "posterize": lambda image, m: F.posterize(image, int(m)),
        "solarize": F.solarize,
        "autocontrast": lambda image, _: F.autocontrast(image),
        "equalize": lambda image, _: F.equalize(image),
        "invert": lambda image, _: F.invert(image),
        "hue": F.adjust_hue,
    }


def single(value):
    """As torchvision draws: in float32."""
    return struct.unpack("f", struct.pack("f", value))[0]


def factor(generator):
    return generator.choice([0.0, 1.0, single(generator.uniform(0, 1)), single(generator.uniform(-1, 3))])


PARAMETER = {
    "shear_x": lambda g: single(g.choice([g.uniform(-0.3, 0.3), g.uniform(-2, 2), g.randrange(-64, 65) / 64])),
    "shear_y": lambda g: single(g.choice([g.uniform(-0.3, 0.3), g.uniform(-2, 2), g.randrange(-64, 65) / 64])),
    "translate_x": lambda g: g.uniform(-50, 50),
    "translate_y": lambda g: g.uniform(-50, 50),
    "rotate": lambda g: single(g.choice([g.uniform(-30, 30), g.uniform(-400, 400), g.randrange(-30, 31) * 15])),
    "posterize": lambda g: g.randrange(1, 9),
    "solarize": lambda g: single(g.choice([g.uniform(0, 256), g.randrange(0, 257)])),
    "hue": lambda g: g.uniform(-0.5, 0.5),
}
for name in ("brightness", "color", "contrast", "sharpness"):
    PARAMETER[name] = factor


def pixels(generator, count):
    """Noise, a narrow range, few values, or one value: what histograms stumble over."""
    kind = generator.randrange(5)
    if kind == 0:
        low = generator.randrange(256)
        high = generator.randrange(low, 256)
        return bytes(generator.randint(low, high) for _ in range(count))
    if kind == 1:
        values = [generator.randrange(256) for _ in range(3)]
        return bytes(generator.choice(values) for _ in range(count))
    if kind == 2:
        return bytes([generator.randrange(256)]) * count
    return generator.randbytes(count)


def main():
    reference = torchvision_functions() if "--torchvision" in sys.argv else PILLOW
    generator = random.Random(20)
    cases = []
    for name in PILLOW:
        for _ in range(CASES):
            (height, width), channels = generator.choice(SIZES), generator.choice([1, 3, 3])
            parameter = float(PARAMETER.get(name, lambda _: 0.0)(generator))
            cases.append((name, height, width, channels, parameter, pixels(generator, height * width * channels)))
    data = b"".join(struct.pack("<16s4id", name.encode(), height, width, channels, 0, parameter) + image
                    for name, height, width, channels, parameter, image in cases)
    ours = subprocess.run([sys.argv[1]], input=data, stdout=subprocess.PIPE, check=True).stdout
    at, wrong, compared = 0, {}, 0
    for name, height, width, channels, parameter, image in cases:
        result = ours[at:at + len(image)]
        at += len(image)
        source = Image.frombytes("L" if channels == 1 else "RGB", (width, height), image)
        expected = reference[name](source, parameter).tobytes()
        different = sum(a != b for a, b in zip(result, expected)) + abs(len(result) - len(expected))
        compared += len(expected)
        if different:
            wrong.setdefault(name, []).append("%d x %d x %d, parameter %.17g: %d of %d bytes differ" %
                                              (height, width, channels, parameter, different, len(image)))
    for name, faults in wrong.items():
        print("%s: %d of %d cases differ\n  %s" % (name, len(faults), CASES, "\n  ".join(faults[:5])))
    print("%d cases of each of %d ops, %d bytes compared" % (CASES, len(PILLOW), compared))
    sys.exit(1 if wrong or at != len(ours) else 0)


if __name__ == "__main__":
    main()
