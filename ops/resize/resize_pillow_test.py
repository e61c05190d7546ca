#!/usr/bin/env python3
"""Every pixel of a resize equals Pillow's: crop, resize, crop, mirror, over random sizes, boxes and filters; and every
number of the same normalised and erased, as torchvision's ToTensor, Normalize and RandomErasing define it, in f32."""

import array
import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["TEST_SRCDIR"], "pillow"))
from PIL import Image, ImageOps

FILTERS = [Image.Resampling.NEAREST, Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC,
           Image.Resampling.LANCZOS]
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
RECORDS = 500  # of each filter, and as many normalised and erased


def pixels(draw, height, width, channels):
    """Noise, black and white noise, or stripes with noise: nothing that hides a wrong weight or a missing clip."""
    kind = draw.randrange(3)
    size = height * width * channels
    if kind == 0:
        return draw.randbytes(size)
    if kind == 1:
        return draw.randbytes(size).translate(bytes(255 * (i & 1) for i in range(256)))
    row = bytes((x * 7 + x // 9 * 31) % 256 for x in range(width * channels))
    return b"".join(row[y % 5:] + row[:y % 5] for y in range(height))


def resized(image, size, kind):
    """Along rows first, which Pillow does, too, but of images more than a hundred times as high as wide."""
    if image.size[1] > 100 * image.size[0]:
        image = image.resize((size[0], image.size[1]), kind)
    return image.resize(size, kind)


def normalised(image, scale, offset, erased, rectangle):
    """The bytes of f32 [C,H,W]; product and sum are each rounded."""
    mask = Image.new("1", image.size)
    top, left, height, width = rectangle
    mask.paste(1, (left, top, left + width, top + height))
    mask = mask.convert("L").tobytes()
    planes = array.array("f")
    for plane, a, b, value in zip(image.split(), scale, offset, erased):
        products = array.array("f", (a * pixel for pixel in range(256)))
        of_pixel = array.array("f", (product + b for product in products))
        planes.extend(value if inside else of_pixel[pixel] for pixel, inside in zip(plane.tobytes(), mask))
    return planes.tobytes()


def main():
    draw = random.Random(20)
    program = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    wrong = 0
    kinds = [(kind, False) for kind in range(len(FILTERS)) for _ in range(RECORDS)]
    kinds += [(draw.randrange(len(FILTERS)), True) for _ in range(RECORDS)]
    for number, (kind, normalise) in enumerate(kinds):
        largest = draw.choice([4, 40, 200, 600])
        channels = draw.choice([1, 3, 3, 4])
        image_height, image_width = draw.randint(1, largest), draw.randint(1, largest)
        height, width = draw.randint(1, image_height), draw.randint(1, image_width)
        top, left = draw.randint(0, image_height - height), draw.randint(0, image_width - width)
        resized_height, resized_width = draw.randint(1, draw.choice([30, 300])), draw.randint(1, draw.choice([30, 300]))
        view_height, view_width = draw.randint(1, resized_height), draw.randint(1, resized_width)
        window_top, window_left = draw.randint(0, resized_height - view_height), draw.randint(0, resized_width - view_width)
        flip = draw.randrange(2)
        data = pixels(draw, image_height, image_width, channels)

        image = Image.frombytes(MODES[channels], (image_width, image_height), data)
        image = resized(image.crop((left, top, left + width, top + height)), (resized_width, resized_height), FILTERS[kind])
        image = image.crop((window_left, window_top, window_left + view_width, window_top + view_height))
        image = ImageOps.mirror(image) if flip else image
        expected = image.tobytes()
        rectangle, numbers = (0, 0, 0, 0), []
        if normalise:
            erase_height, erase_width = draw.randint(0, view_height), draw.randint(1, view_width)
            rectangle = (draw.randint(0, view_height - erase_height), draw.randint(0, view_width - erase_width),
                         erase_height, erase_width)
            numbers = array.array("f", (draw.uniform(-3, 3) for _ in range(3 * channels)))
            expected = normalised(image, numbers[:channels], numbers[channels:2 * channels], numbers[2 * channels:],
                                  rectangle)

        record = (image_height, image_width, channels, top, left, height, width, resized_height, resized_width,
                  window_top, window_left, view_height, view_width, flip, kind, *rectangle, normalise)
        program.stdin.write(struct.pack("20i", *record) + array.array("f", numbers).tobytes() + data)
        program.stdin.flush()
        if program.stdout.read(len(expected)) != expected:
            wrong += 1
            print("record %d differs: %s %s" % (number, FILTERS[kind].name, record))
    program.stdin.close()
    if program.wait() != 0:
        sys.exit("the program failed")
    print("%d of %d records differ" % (wrong, len(kinds)))
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
