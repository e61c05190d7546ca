"""libcurl of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "libcurl",
        package = "libcurl4-openssl-dev",
        needs = [
            "/usr/include/x86_64-linux-gnu/curl/curl.h",
            "/usr/lib/x86_64-linux-gnu/libcurl.so",
        ],
        build_file = Label("//tools/third_party/libcurl:libcurl.BUILD"),
    )
