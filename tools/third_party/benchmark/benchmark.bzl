"""benchmark of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "benchmark",
        package = "libbenchmark-dev",
        needs = [
            "/usr/include/benchmark/benchmark.h",
            "/usr/lib/x86_64-linux-gnu/libbenchmark.so",
        ],
        build_file = Label("//tools/third_party/benchmark:benchmark.BUILD"),
    )
