"""absl of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "absl",
        package = "libabsl-dev",
        needs = [
            "/usr/include/absl/status/statusor.h",
            "/usr/lib/x86_64-linux-gnu/libabsl_status.a",
        ],
        build_file = Label("//tools/third_party/absl:absl.BUILD"),
    )
