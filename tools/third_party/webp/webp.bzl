"""webp of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "webp",
        package = "libwebp-dev",
        needs = [
            "/usr/include/webp/decode.h",
            "/usr/lib/x86_64-linux-gnu/libwebp.a",
        ],
        build_file = Label("//tools/third_party/webp:webp.BUILD"),
    )
