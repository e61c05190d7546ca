"""protobuf of the distribution, under the name that Bazel's own rules look for."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:system.bzl", "system_repository")

def repo():
    maybe(
        system_repository,
        name = "com_google_protobuf",
        package = "libprotobuf-dev and protobuf-compiler",
        needs = [
            "/usr/bin/protoc",
            "/usr/include/google/protobuf/message.h",
            "/usr/lib/x86_64-linux-gnu/libprotobuf.a",
        ],
        links = {
            "/usr/bin/protoc": "protoc.bin",
            "/usr/include/google/protobuf/descriptor.proto": "google/protobuf/descriptor.proto",
        },
        build_file = Label("//tools/third_party/protobuf:protobuf.BUILD"),
    )
