"""googletest of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "googletest",
        package = "libgtest-dev and libgmock-dev",
        needs = [
            "/usr/include/gtest/gtest.h",
            "/usr/include/gmock/gmock.h",
            "/usr/lib/x86_64-linux-gnu/libgmock.a",
        ],
        build_file = Label("//tools/third_party/googletest:googletest.BUILD"),
    )
