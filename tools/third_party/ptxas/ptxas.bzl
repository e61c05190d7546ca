"""NVIDIA's assembler for PTX, out of the wheel of the CUDA compiler: GPU code is examined where no GPU is."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:wheel.bzl", "wheel_repository")

def repo():
    maybe(
        wheel_repository,
        name = "ptxas",
        lock = Label("//tools/third_party/ptxas:ptxas.lock"),
        build_file = Label("//tools/third_party/ptxas:ptxas.BUILD"),
        keep = {"nvidia/cu13/bin/ptxas": "bin/ptxas"},
    )
