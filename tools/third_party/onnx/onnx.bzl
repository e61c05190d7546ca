"""The schema of ONNX files, out of the wheel of onnx; and what reads and runs them in tests."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:wheel.bzl", "wheel_repository")

# 50 MB of wheels: only a test that names it fetches it.
_PACKAGES = [
    "google/",
    "ml_dtypes/",
    "numpy/",
    "numpy.libs/",
    "onnx/",
    "onnxruntime/",
    "typing_extensions.py",
]

def repo():
    """Defines @onnx, the schema, and @onnxruntime, the oracle of tests."""
    maybe(
        wheel_repository,
        name = "onnx",
        lock = Label("//tools/third_party/onnx:onnx.lock"),
        build_file = Label("//tools/third_party/onnx:onnx.BUILD"),
        keep = {"onnx/onnx.proto": "onnx/onnx.proto"},
    )
    maybe(
        wheel_repository,
        name = "onnxruntime",
        lock = Label("//tools/third_party/onnx:onnxruntime.lock"),
        build_file = Label("//tools/third_party/onnx:onnxruntime.BUILD"),
        keep = {path: path for path in _PACKAGES},
    )
