"""The other side of cache.py: records as TinyViT stores them, one view of a training set in one folder.

A file of keys, a line a record, and a file of records: i32 seed, then k classes as i16, then their k probabilities as f16
(microsoft/Cream, TinyViT/data/augmentation/manager.py and TinyViT/save_logits.py). This script is written after that layout. It
is given what a teacher left in memory, and gives back arrays that a loss can take.
"""

import os
import shutil
import sys
import tempfile

import numpy as np

from turns import take_turns, timed

BATCH = 128
RECORDS = 1 << 20
FOLDER = tempfile.mkdtemp(prefix="tinyvit_")


def paths(k):
    return os.path.join(FOLDER, f"keys{k}.txt"), os.path.join(FOLDER, f"values{k}.bin")


def write(k):
    random = np.random.default_rng(1)
    classes = random.integers(0, 1000, (BATCH, k))
    probabilities = random.random((BATCH, k), dtype=np.float32)
    seeds = random.integers(0, 2**31, BATCH)
    keys_path, values_path = paths(k)

    def run():
        with open(keys_path, "w", encoding="utf-8") as keys, open(values_path, "wb") as values:
            for first in range(0, RECORDS, BATCH):
                short = classes.astype(np.int16)
                half = probabilities.astype(np.float16)
                for i in range(BATCH):
                    values.write(np.int32(seeds[i]).tobytes() + short[i].tobytes() + half[i].tobytes())
                    keys.write(f"image{first + i}\n")
            values.flush()
            os.fsync(values.fileno())
    return lambda: timed(RECORDS, run)


def read(k):
    write(k)()
    keys_path, values_path = paths(k)
    with open(keys_path, encoding="utf-8") as file:
        positions = {line.strip(): i for i, line in enumerate(file)}
    size = 4 + 4 * k
    batches = 400
    names = [[f"image{i}" for i in batch] for batch in np.random.default_rng(2).integers(0, RECORDS, (batches, BATCH))]
    values = open(values_path, "rb")

    def record(name):
        values.seek(positions[name] * size)
        data = values.read(size)
        return (np.frombuffer(data, np.int32, 1), np.frombuffer(data, np.int16, k, 4),
                np.frombuffer(data, np.float16, k, 4 + 2 * k))

    def run():
        for batch in names:
            records = [record(name) for name in batch]
            np.stack([classes for _, classes, _ in records])
            np.stack([half for _, _, half in records]).astype(np.float32)
    return lambda: timed(batches * BATCH, run)


def main():
    cases = {"write44": lambda: write(10), "write404": lambda: write(100), "read44": lambda: read(10),
             "read404": lambda: read(100)}
    try:
        take_turns(cases)
    finally:
        shutil.rmtree(FOLDER)


if __name__ == "__main__":
    sys.exit(main())
