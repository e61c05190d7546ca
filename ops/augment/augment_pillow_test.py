#!/usr/bin/env python3
"""Compares the ops with Pillow: random images and parameters, not one byte may differ. Of AugMix's sum, the images are
what chains of Pillow's calls give.

    augment_pillow_test.py AUGMENT_CASES                  # as a test; Pillow is among its runfiles
    augment_pillow_test.py AUGMENT_CASES --torchvision

With --torchvision the reference is torchvision's functions on Pillow images instead of the calls to Pillow that they
make, and the sum is its AugMix's; run so by hand with a Python that has torchvision.
"""

import array
import math
import operator
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


def weighted_sum(images, weights):
    """As AugMix adds: products and sums are each rounded to f32, the sum is cut off."""
    sums = None
    for image, weight in zip(images, weights):
        products = array.array("f", (weight * value for value in range(256)))
        terms = map(products.__getitem__, image.tobytes())
        sums = array.array("f", terms if sums is None else map(operator.add, sums, terms))
    return bytes(min(int(value), 255) for value in sums)


def torchvision_sum(images, weights):
    """What AugMix returns where those weights are drawn, and its chains give those images."""
    import torch
    from torchvision.transforms import autoaugment

    # It draws the image's share and the chains' together, then the chains' weights among themselves.
    draws = iter([[[weights[0], 1.0]], [weights[1:]]])
    chains = iter(images[1:])
    policy = autoaugment.AugMix(mixture_width=len(images) - 1, chain_depth=1)
    policy._sample_dirichlet = lambda _: torch.tensor(next(draws))
    apply_op = autoaugment._apply_op
    autoaugment._apply_op = lambda *_, **__: policy._pil_to_tensor(next(chains)).unsqueeze(0)
    try:
        return policy(images[0]).tobytes()
    finally:
        autoaugment._apply_op = apply_op


def mixture(generator, reference):
    """(height, width, channels), an image and what chains make of it, and weights."""
    (height, width), channels = generator.choice(SIZES), generator.choice([1, 3, 3])
    image = Image.frombytes("L" if channels == 1 else "RGB", (width, height),
                            pixels(generator, height * width * channels))
    images = [image]
    for _ in range(generator.randint(1, 4)):
        chain = image
        for name in generator.choices([name for name in reference if name != "hue"], k=generator.randint(1, 3)):
            chain = reference[name](chain, float(PARAMETER.get(name, lambda _: 0.0)(generator)))
        images.append(chain)
    share, *parts = (generator.gammavariate(1, 1) for _ in images)
    rest = 1 - single(share / (1 + share))
    weights = [single(1 - rest)] + [single(rest * part / sum(parts)) for part in parts]
    return (height, width, channels), images, weights


def main():
    torchvision = "--torchvision" in sys.argv
    reference = torchvision_functions() if torchvision else PILLOW
    generator = random.Random(20)
    cases = []
    for name in PILLOW:
        for _ in range(CASES):
            (height, width), channels = generator.choice(SIZES), generator.choice([1, 3, 3])
            parameter = float(PARAMETER.get(name, lambda _: 0.0)(generator))
            cases.append((name, height, width, channels, parameter, pixels(generator, height * width * channels)))
    data = b"".join(struct.pack("<16s4id", name.encode(), height, width, channels, 0, parameter) + image
                    for name, height, width, channels, parameter, image in cases)
    mixtures = [mixture(generator, reference) for _ in range(CASES)]
    data += b"".join(struct.pack("<16s4id", b"mix", *size, len(images), 0.0) +
                     struct.pack("<%df" % len(weights), *weights) + b"".join(image.tobytes() for image in images)
                     for size, images, weights in mixtures)
    ours = subprocess.run([sys.argv[1]], input=data, stdout=subprocess.PIPE, check=True).stdout
    at, wrong, compared = 0, {}, 0

    def compare(name, expected, what):
        nonlocal at, compared
        result = ours[at:at + len(expected)]
        at += len(expected)
        compared += len(expected)
        different = sum(a != b for a, b in zip(result, expected)) + len(expected) - len(result)
        if different:
            wrong.setdefault(name, []).append("%s: %d of %d bytes differ" % (what, different, len(expected)))

    for name, height, width, channels, parameter, image in cases:
        source = Image.frombytes("L" if channels == 1 else "RGB", (width, height), image)
        compare(name, reference[name](source, parameter).tobytes(),
                "%d x %d x %d, parameter %.17g" % (height, width, channels, parameter))
    for size, images, weights in mixtures:
        compare("mix", (torchvision_sum if torchvision else weighted_sum)(images, weights),
                "%d x %d x %d, weights %s" % (size + (weights,)))
    for name, faults in wrong.items():
        print("%s: %d of %d cases differ\n  %s" % (name, len(faults), CASES, "\n  ".join(faults[:5])))
    print("%d cases of each of %d ops and of mixtures, %d bytes compared" % (CASES, len(PILLOW), compared))
    sys.exit(1 if wrong or at != len(ours) else 0)


if __name__ == "__main__":
    main()
