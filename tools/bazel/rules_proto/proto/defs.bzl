"""Bazel's own protobuf rules under the name that newer versions load them from."""

proto_lang_toolchain = native.proto_lang_toolchain
proto_library = native.proto_library
