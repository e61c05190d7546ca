"""zstd of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "zstd",
        package = "libzstd-dev",
        needs = [
            "/usr/include/zstd.h",
            "/usr/lib/x86_64-linux-gnu/libzstd.a",
        ],
        build_file = Label("//tools/third_party/zstd:zstd.BUILD"),
    )
