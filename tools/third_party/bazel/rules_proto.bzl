"""@rules_proto: Bazel's own proto rules under the name that newer versions want."""

proto_lang_toolchain = native.proto_lang_toolchain
proto_library = native.proto_library
