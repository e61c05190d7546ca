#!/usr/bin/env python3
"""Every pixel that the decoders give, of whole files and of regions, equals what Pillow's Image.open(path).convert("RGB")
gives."""

import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["TEST_SRCDIR"], "pillow"))
from PIL import Image

FILES = 500  # of each format, and as many of JPEG in draft mode


def picture(draw, mode, size):
    """Noise, enlarged by a random factor, so that there are smooth parts and edges."""
    factor = draw.choice([1, 4, 16])
    small = (size[0] // factor + 1, size[1] // factor + 1)
    bands = len(Image.new(mode, (1, 1)).getbands())
    image = Image.frombytes(mode, small, draw.randbytes(small[0] * small[1] * bands))
    return image.resize((small[0] * factor, small[1] * factor), Image.Resampling.BICUBIC).crop((0, 0) + size)


def save(draw, kind, path):
    """Writes one file, and says what it is."""
    size = (draw.randint(1, 90), draw.randint(1, 90))
    if kind == "jpeg":
        mode = draw.choice(["RGB", "RGB", "L", "CMYK"])
        options = {"quality": draw.randint(5, 100), "progressive": draw.random() < 0.4, "optimize": draw.random() < 0.3}
        if mode == "RGB":
            options["subsampling"] = draw.choice(["4:4:4", "4:2:2", "4:2:0"])
            options["keep_rgb"] = draw.random() < 0.2 and options["subsampling"] == "4:4:4"
        if draw.random() < 0.3:
            options["restart_marker_blocks"] = draw.randint(1, 9)
        picture(draw, mode, size).save(path, "JPEG", **options)
        return "%s %s %s %s" % (kind, size, mode, options)
    if kind == "png":
        mode = draw.choice(["RGB", "RGBA", "L", "LA", "1", "P", "P"])
        options = {"compress_level": draw.randint(0, 9)}
        if mode == "P":
            options["bits"] = draw.choice([1, 2, 4, 8])
            image = picture(draw, "RGB", size).quantize(2 ** options["bits"])
            if draw.random() < 0.4:
                options["transparency"] = 0
        elif mode == "1":
            image = picture(draw, "L", size).convert("1")
        else:
            image = picture(draw, mode, size)
        image.save(path, "PNG", **options)
        return "%s %s %s %s" % (kind, size, mode, options)
    mode = draw.choice(["RGB", "RGBA"])
    options = {"quality": draw.randint(5, 100), "lossless": draw.random() < 0.5, "exact": True, "method": 2}
    picture(draw, mode, size).save(path, "WEBP", **options)
    return "%s %s %s %s" % (kind, size, mode, options)


class Decoder:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def decode(self, path, least=(0, 0), region=(0, 0, 0, 0)):
        """`least` is (height, width), `region` (top, left, height, width)."""
        self.process.stdin.write(("%d %d %d %d %d %d %s\n" % (least + region + (path,))).encode())
        self.process.stdin.flush()
        height, width = struct.unpack("2i", self.process.stdout.read(8))
        if height < 0:
            return None, self.process.stdout.read(width).decode()
        return (width, height), self.process.stdout.read(height * width * 3)


def main():
    draw = random.Random(31)
    decoder = Decoder(sys.argv[1])
    path = os.path.join(os.environ["TEST_TMPDIR"], "image")
    wrong = 0
    for kind in (kind for kind in ("jpeg", "png", "webp") for _ in range(FILES)):
        what = save(draw, kind, path)
        expected = Image.open(path).convert("RGB")
        size, pixels = decoder.decode(path)
        if size != expected.size or pixels != expected.tobytes():
            wrong += 1
            print("differs: %s: %s" % (what, pixels if size is None else size))
        left, top = (draw.randrange(side) for side in expected.size)
        right, bottom = (draw.randint(start + 1, side) for start, side in zip((left, top), expected.size))
        part = expected.crop((left, top, right, bottom))
        size, pixels = decoder.decode(path, region=(top, left, bottom - top, right - left))
        if size != part.size or pixels != part.tobytes():
            wrong += 1
            print("region %s differs: %s: %s" % ((left, top, right, bottom), what, pixels if size is None else size))

    # Pillow's draft mode asks the library for the same reduced sizes.
    for _ in range(FILES):
        full = (draw.randint(60, 300), draw.randint(60, 300))
        picture(draw, "RGB", full).save(path, "JPEG", quality=draw.randint(50, 100))
        expected = Image.open(path)
        expected.draft("RGB", tuple(side // draw.choice([2, 4, 8]) for side in full))
        size, pixels = decoder.decode(path, least=(expected.size[1], expected.size[0]))
        if size != expected.size or pixels != expected.convert("RGB").tobytes():
            wrong += 1
            print("draft differs: %s to %s: %s" % (full, expected.size, pixels if size is None else size))
    print("%d differences in %d files" % (wrong, 4 * FILES))
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
