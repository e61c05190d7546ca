"""jpeg of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "jpeg",
        package = "libjpeg62-turbo-dev",
        needs = [
            "/usr/include/jpeglib.h",
            "/usr/lib/x86_64-linux-gnu/libjpeg.a",
        ],
        build_file = Label("//tools/third_party/jpeg:jpeg.BUILD"),
    )
