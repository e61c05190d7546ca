#!/usr/bin/env python3
"""Every number of a batch equals what Pillow's pad, crop and mirror give, then normalised, erased and mixed in f32 as
torchvision's ToTensor, Normalize, MixUp and CutMix define it: over random sizes, shifts, boxes and weights."""

import array
import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["TEST_SRCDIR"], "pillow"))
from PIL import Image, ImageOps

CROP_BATCH, BATCH_ASSEMBLY, MIXED_BATCH_ASSEMBLY = range(3)
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
RECORDS = 500  # of each op


def reflected(image, pad):
    """Padded with what a mirror at the outermost pixels shows."""
    width, height = image.size
    wide = Image.new(image.mode, (width + 2 * (width - 1), height))
    wide.paste(image, (width - 1, 0))
    wide.paste(ImageOps.mirror(image.crop((1, 0, width, height))), (0, 0))
    wide.paste(ImageOps.mirror(image.crop((0, 0, width - 1, height))), (2 * width - 1, 0))
    whole = Image.new(image.mode, (wide.size[0], height + 2 * (height - 1)))
    whole.paste(wide, (0, height - 1))
    whole.paste(ImageOps.flip(wide.crop((0, 1, wide.size[0], height))), (0, 0))
    whole.paste(ImageOps.flip(wide.crop((0, 0, wide.size[0], height - 1))), (0, 2 * height - 1))
    left, top = width - 1 - pad, height - 1 - pad
    return whole.crop((left, top, left + width + 2 * pad, top + height + 2 * pad))


def inside(size, box):
    """Of each pixel, row after row, whether it lies in (top, left, bottom, right)."""
    top, left, bottom, right = box
    mask = Image.new("L", size)
    if bottom > top and right > left:
        mask.paste(1, (left, top, right, bottom))
    return mask.tobytes()


def view(image, params, reflect, pad):
    dy, dx, flip = params[:3]
    padded = reflected(image, pad) if reflect else ImageOps.expand(image, pad, fill=0)
    cropped = padded.crop((pad + dx, pad + dy, pad + dx + image.size[0], pad + dy + image.size[1]))
    return ImageOps.mirror(cropped) if flip else cropped


def planes(image, erase, scale, offset):
    """f32 of each channel; product and sum are each rounded."""
    for plane, a, b in zip(image.split(), scale, offset):
        products = array.array("f", (a * pixel for pixel in range(256)))
        of_pixel = array.array("f", (product + b for product in products))
        yield array.array("f", (0.0 if erased else of_pixel[pixel] for pixel, erased in zip(plane.tobytes(), erase)))


def mixed(first, second, weight, box):
    rest = array.array("f", [1 - weight])[0]
    firsts, seconds = (array.array("f", (w * value for value in values)) for w, values in ((weight, first), (rest, second)))
    sums = array.array("f", (a + b for a, b in zip(firsts, seconds)))
    return array.array("f", (b if of_box else value for value, b, of_box in zip(sums, second, box)))


def main():
    draw = random.Random(22)
    program = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    wrong = 0

    def box(height, width):
        """Also beyond the view, and empty."""
        top, left = draw.randint(-5, height), draw.randint(-5, width)
        return (top, left, top + draw.randint(0, height), left + draw.randint(0, width))

    for number, op in enumerate(op for op in range(3) for _ in range(RECORDS)):
        height, width, channels = draw.randint(1, 40), draw.randint(1, 40), draw.choice([1, 3, 3, 4])
        reflect, channels_last = draw.randrange(2), draw.randrange(2)
        pad = draw.randint(0, min(height, width) - 1 if reflect else draw.choice([4, 50]))
        params = [(draw.randint(-pad, pad), draw.randint(-pad, pad), draw.randrange(2)) + box(height, width)
                  for _ in range(2)]
        mix_box = box(height, width)
        numbers = array.array("f", [draw.choice([0, 1, draw.random()])] + [draw.uniform(-3, 3) for _ in range(8)])
        scale, offset = numbers[1:1 + channels], numbers[5:5 + channels]
        pixels = [draw.randbytes(height * width * channels) for _ in range(2)]

        images = [view(Image.frombytes(MODES[channels], (width, height), data), p, reflect, pad)
                  for data, p in zip(pixels, params)]
        erase = [inside((width, height), p[3:]) for p in params]
        if op == CROP_BATCH:
            images[0].paste(0 if channels == 1 else (0,) * channels, mask=Image.frombytes(
                "L", (width, height), erase[0].translate(bytes([0] + [255] * 255))))
            expected = images[0].tobytes()
        else:
            values = list(planes(images[0], erase[0], scale, offset))
            if op == MIXED_BATCH_ASSEMBLY:
                values = [mixed(a, b, numbers[0], inside((width, height), mix_box))
                          for a, b in zip(values, planes(images[1], erase[1], scale, offset))]
            expected = array.array("f", (value for pixel in zip(*values) for value in pixel) if channels_last else
                                   (value for plane in values for value in plane)).tobytes()

        record = (op, height, width, channels, reflect, channels_last) + params[0] + params[1] + mix_box
        program.stdin.write(struct.pack("24i", *record) + numbers.tobytes() + b"".join(pixels))
        program.stdin.flush()
        if program.stdout.read(len(expected)) != expected:
            wrong += 1
            print("record %d differs: %s, %s" % (number, record, numbers.tolist()))
    program.stdin.close()
    if program.wait() != 0:
        sys.exit("the program failed")
    print("%d of %d records of each of 3 ops differ" % (wrong, RECORDS))
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
