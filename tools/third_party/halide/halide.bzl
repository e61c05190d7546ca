"""Halide from its wheel."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:wheel.bzl", "wheel_repository")

def repo():
    maybe(
        wheel_repository,
        name = "halide",
        lock = Label("//tools/third_party/halide:halide.lock"),
        build_file = Label("//tools/third_party/halide:halide.BUILD"),
        keep = {
            "halide/include/": "include/",
            "halide/lib64/libHalide.so": "lib/libHalide.so",
            "halide/lib64/libHalide_GenGen.a": "lib/libHalide_GenGen.a",
            "halide/share/tools/": "tools/",
        },
    )
