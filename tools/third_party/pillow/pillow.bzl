"""Pillow from its wheel."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:wheel.bzl", "wheel_repository")

def repo():
    maybe(
        wheel_repository,
        name = "pillow",
        lock = Label("//tools/third_party/pillow:pillow.lock"),
        build_file = Label("//tools/third_party/pillow:pillow.BUILD"),
        keep = {
            "PIL/": "PIL/",
            "pillow.libs/": "pillow.libs/",
        },
    )
