#!/usr/bin/env python3
"""TensorBoard reads the curves of a training that was killed and went on: every step once, with the value written last."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["TEST_SRCDIR"], "tensorboard"))
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.util import tensor_util


def curve(points):
    """step -> (wall time, value), the latter as text, so that NaN is equal to itself."""
    assert len({step for step, _, _ in points}) == len(points), points
    return {step: (wall_time, repr(value)) for step, wall_time, value in points}


def load(folder):
    """tag -> curve, as scripts read them, which has to be as TensorBoard's page does."""
    script = event_accumulator.EventAccumulator(folder)
    script.Reload()
    assert script.file_version == 2, script.file_version
    page = plugin_event_accumulator.EventAccumulator(folder)
    page.Reload()
    read = {tag: curve([(event.step, event.wall_time, event.value) for event in script.Scalars(tag)])
            for tag in script.Tags()["scalars"]}
    shown = {tag: curve([(event.step, event.wall_time, float(tensor_util.make_ndarray(event.tensor_proto)))
                         for event in page.Tensors(tag)])
             for tag in page.Tags()["tensors"]}
    assert read == shown, (read, shown)
    return read


def main():
    folder = os.path.join(os.environ["TEST_TMPDIR"], "run")
    written = subprocess.run([sys.argv[1], folder], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert [os.path.join(folder, name) for name in sorted(os.listdir(folder))] == written, written

    curves = load(folder)
    assert sorted(curves) == ["odd", "train/loss"], curves
    loss = {step: (1700000000.25 + step, repr(float(step if step < 4 else 10 * step))) for step in range(10)}
    assert curves["train/loss"] == loss, curves
    assert [value for _, value in curves["odd"].values()] == ["nan" if step == 7 else "16777216.0" for step in range(10)], curves

    # Killed within a record: that one is missing, and nothing else. Of the first session it is step 5, which no longer counts.
    for path, last in ((written[0], 9), (written[1], 8)):
        os.truncate(path, os.path.getsize(path) - 3)
        assert load(folder)["train/loss"] == {step: loss[step] for step in range(last + 1)}

    # The reader checks sums: one other bit in the middle, and the curve ends there.
    with open(written[1], "r+b") as file:
        data = file.read()
        middle = data.index(b"train/loss", len(data) // 2)
        file.seek(middle)
        file.write(b"u")
    assert len(load(folder)["train/loss"]) < 9
    print("10 steps of two sessions")


if __name__ == "__main__":
    main()
