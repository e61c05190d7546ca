"""openssl of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "openssl",
        package = "libssl-dev",
        needs = [
            "/usr/include/openssl/evp.h",
            "/usr/lib/x86_64-linux-gnu/libcrypto.so",
        ],
        build_file = Label("//tools/third_party/openssl:openssl.BUILD"),
    )
