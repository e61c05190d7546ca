"""png of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "png",
        package = "libpng-dev",
        needs = [
            "/usr/include/png.h",
            "/usr/lib/x86_64-linux-gnu/libpng16.a",
        ],
        build_file = Label("//tools/third_party/png:png.BUILD"),
    )
