"""plotly.js, out of the wheel of plotly for Python."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:wheel.bzl", "wheel_repository")

def repo():
    maybe(
        wheel_repository,
        name = "plotly",
        lock = Label("//tools/third_party/plotly:plotly.lock"),
        build_file = Label("//tools/third_party/plotly:plotly.BUILD"),
        keep = {"plotly/package_data/plotly.min.js": "plotly.min.js"},
    )
