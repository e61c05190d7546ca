"""TensorBoard from its wheel, without its web page and servers."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:wheel.bzl", "wheel_repository")

# 23 MB of wheels: only a test that names it fetches it.
_PACKAGES = [
    "absl/",
    "google/",
    "numpy/",
    "numpy.libs/",
    "tensorboard/",
]

def repo():
    maybe(
        wheel_repository,
        name = "tensorboard",
        lock = Label("//tools/third_party/tensorboard:tensorboard.lock"),
        build_file = Label("//tools/third_party/tensorboard:tensorboard.BUILD"),
        keep = dict({path: path for path in _PACKAGES}, **{"tensorboard/webfiles.zip": ""}),
    )
