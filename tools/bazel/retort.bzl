"""The rules that Retort's targets are written with. Flags are here and nowhere else."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_proto_library", "cc_test")
load("@rules_proto//proto:defs.bzl", "proto_library")

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wcast-qual",
    "-Wconversion",
    "-Wduplicated-cond",
    "-Wextra-semi",
    "-Wlogical-op",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wshadow",
    "-Wswitch",
    "-Wundef",
    "-Wvla",
    "-Werror",
]

_COPTS = _WARNINGS + [
    "-fstack-protector-strong",
    "-fno-plt",
]

_HIDE_SYMBOLS = Label("//tools/bazel:hide_symbols.lds")

_LINKOPTS = [
    "-Wl,--version-script=$(location {})".format(_HIDE_SYMBOLS),
    "-Wl,-z,relro,-z,now,-z,noexecstack",
]

# Headers are found as "retort/<folder>/x.h" and not otherwise.
_PREFIX = {
    "include_prefix": "retort",
    "strip_include_prefix": "/",
}

def retort_cc_library(name, copts = [], **kwargs):
    """A header/source pair."""
    cc_library(name = name, copts = _COPTS + copts, linkstatic = True, **dict(_PREFIX, **kwargs))

def retort_cc_binary(name, copts = [], linkopts = [], **kwargs):
    """A program that exports no symbol but main."""
    cc_binary(
        name = name,
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        additional_linker_inputs = [_HIDE_SYMBOLS],
        linkstatic = True,
        **kwargs
    )

def retort_cc_test(name, deps = [], copts = [], linkopts = [], size = "small", **kwargs):
    """A GoogleTest program; gtest and its main come by themselves."""
    cc_test(
        name = name,
        size = size,
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        additional_linker_inputs = [_HIDE_SYMBOLS],
        linkstatic = True,
        deps = deps + ["@googletest//:gtest_main"],
        **kwargs
    )

def retort_cc_benchmark(name, srcs, deps = [], copts = [], tags = [], dry_run_args = ["--benchmark_min_time=0"], **kwargs):
    """A Google Benchmark program, and a test `<name>_dry_run` that it runs at all."""
    retort_cc_binary(
        name = name,
        srcs = srcs,
        copts = copts,
        testonly = True,
        tags = tags + ["benchmark"],
        deps = deps + ["@benchmark"],
        **kwargs
    )
    cc_test(
        name = name + "_dry_run",
        size = "small",
        srcs = srcs,
        args = dry_run_args,
        copts = _COPTS + copts,
        linkopts = _LINKOPTS,
        additional_linker_inputs = [_HIDE_SYMBOLS],
        linkstatic = True,
        deps = deps + ["@benchmark"],
    )

def retort_proto_library(name, srcs, deps = [], visibility = None):
    """C++ classes of a schema, as "retort/<folder>/x.pb.h"; imports are "retort/<folder>/x.proto".

    Args:
      name: of the C++ library.
      srcs: the .proto files.
      deps: other retort_proto_library targets, or proto_library targets of other repositories.
      visibility: of the C++ library and of the schema.
    """
    proto_library(
        name = name + "_schema",
        srcs = srcs,
        import_prefix = "retort",
        strip_import_prefix = "/",
        visibility = visibility,
        deps = [dep if dep.startswith("@") else dep + "_schema" for dep in deps],
    )
    cc_proto_library(
        name = name,
        visibility = visibility,
        deps = [":" + name + "_schema"],
    )
