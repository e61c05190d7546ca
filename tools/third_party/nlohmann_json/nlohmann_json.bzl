"""nlohmann_json of the distribution."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "nlohmann_json",
        package = "nlohmann-json3-dev",
        needs = [
            "/usr/include/nlohmann/json.hpp",
        ],
        build_file = Label("//tools/third_party/nlohmann_json:nlohmann_json.BUILD"),
    )
