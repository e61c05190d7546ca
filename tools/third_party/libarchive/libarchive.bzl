"""libarchive of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "libarchive",
        package = "libarchive-dev",
        needs = [
            "/usr/include/archive.h",
            "/usr/lib/x86_64-linux-gnu/libarchive.so",
        ],
        build_file = Label("//tools/third_party/libarchive:libarchive.BUILD"),
    )
