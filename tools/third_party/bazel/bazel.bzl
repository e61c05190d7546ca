"""The repositories that Bazel itself looks for. The machine's own, rules_java, is named in
.bazelrc.local, which ./bazelw writes."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:shim_repository.bzl", "shim_repository")

def repo():
    maybe(
        shim_repository,
        name = "rules_cc",
        files = {Label("//tools/third_party/bazel:rules_cc.bzl"): "cc/defs.bzl"},
        packages = {"cc": ""},
    )
    maybe(
        shim_repository,
        name = "rules_proto",
        files = {Label("//tools/third_party/bazel:rules_proto.bzl"): "proto/defs.bzl"},
        packages = {"proto": ""},
    )
    maybe(
        shim_repository,
        name = "remote_coverage_tools",
        packages = {"": "filegroup(name = \"coverage_report_generator\", visibility = [\"//visibility:public\"])\n"},
    )
