#!/usr/bin/env python3
"""Exported graphs pass onnx's checker, and onnxruntime makes of images what the models make of them."""

import json
import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["TEST_SRCDIR"], "onnxruntime"))
sys.dont_write_bytecode = True
import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-4
DTYPES = {"F32": np.float32, "U8": np.uint8}


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def faults(path, name):
    """Yields what is wrong with the graph at path."""
    tensors = read_safetensors(os.path.join(path, name + ".safetensors"))
    file = os.path.join(path, name + ".onnx")
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    if model.ir_version != 8 or [(o.domain, o.version) for o in model.opset_import] != [("", 17)]:
        yield "IR version or opset"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    if session.get_inputs()[0].shape[0] != "batch":
        yield "the batch is not free"
    images = tensors.pop("images")
    names = list(tensors)
    if sorted(output.name for output in session.get_outputs()) != sorted(names):
        yield "outputs are " + str([output.name for output in session.get_outputs()])
    for batch in sorted({1, 7, len(images)}):
        for output, result in zip(names, session.run(names, {"images": images[:batch]})):
            expected = tensors[output][:batch]
            if result.shape != expected.shape:
                yield f"batch {batch}: {output} is {result.shape} instead of {expected.shape}"
                continue
            difference = np.abs(result - expected).max()
            if not difference <= TOLERANCE:
                yield f"batch {batch}: {output} differs by {difference}"
            if name.startswith("family.") and output == "logits" and (result.argmax(1) != expected.argmax(1)).any():
                yield f"batch {batch}: another class is first"


def main():
    onnxruntime.disable_telemetry_events()
    folder = os.environ["TEST_TMPDIR"]
    subprocess.run([sys.argv[1], folder], check=True)
    names = sorted(file[:-len(".onnx")] for file in os.listdir(folder) if file.endswith(".onnx"))
    wrong = [f"{name}: {fault}" for name in names for fault in faults(folder, name)]
    for fault in wrong:
        print(fault)
    print(f"{len(names)} graphs, {len(wrong)} faults")
    sys.exit(bool(wrong) or len(names) < 110)


main()
