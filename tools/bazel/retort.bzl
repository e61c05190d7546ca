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
    "-std=c++17",
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

def _stem(path):
    return path.rpartition(".")[0]

def retort_cc_library(name, srcs = [], hdrs = [], copts = [], **kwargs):
    """A header/source pair.

    A source includes its own header first (//tools/lint sees to it), so compiling it proves that the header is
    self-contained. A header without a source gets one here that includes nothing else.
    """
    cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        copts = _COPTS + copts,
        linkstatic = True,
        **dict(_PREFIX, **kwargs)
    )
    alone = [hdr for hdr in hdrs if _stem(hdr) + ".cc" not in srcs and hdr[0] not in ":/@"]
    for hdr in alone:
        native.genrule(
            name = hdr + "_alone",
            outs = [hdr + ".alone.cc"],
            cmd = "echo '#include \"retort/%s/%s\"' > $@" % (native.package_name(), hdr),
        )
    if alone:
        cc_library(
            name = name + "_alone",
            srcs = [hdr + ".alone.cc" for hdr in alone],
            testonly = kwargs.get("testonly", False),
            copts = _COPTS + copts,
            linkstatic = True,
            deps = [":" + name],
        )

def retort_cc_binary(name, testonly = False, copts = [], linkopts = [], **kwargs):
    """A program that exports no symbol but main, and a test `<name>_symbols_test` of that."""
    cc_binary(
        name = name,
        testonly = testonly,
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        additional_linker_inputs = [_HIDE_SYMBOLS],
        linkstatic = True,
        **kwargs
    )
    if not testonly:
        native.sh_test(
            name = name + "_symbols_test",
            size = "small",
            srcs = [Label("//tools/lint:binary_symbols.sh")],
            args = ["$(location :%s)" % name],
            data = [":" + name],
        )

def retort_cc_test(name, srcs = None, deps = [], copts = [], linkopts = [], size = "small", **kwargs):
    """A GoogleTest program, by default of the source <name>.cc; gtest and its main come by themselves."""
    cc_test(
        name = name,
        size = size,
        srcs = srcs or [name + ".cc"],
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        additional_linker_inputs = [_HIDE_SYMBOLS],
        linkstatic = True,
        deps = deps + [Label("//tools/lint:test_main")],
        **kwargs
    )

def retort_cc_benchmark(name, srcs = None, deps = [], tags = [], dry_run_args = ["--benchmark_min_time=0"], **kwargs):
    """A Google Benchmark program, by default of the source <name>.cc, and a test `<name>_dry_run` that it runs at all."""
    retort_cc_binary(
        name = name,
        testonly = True,
        srcs = srcs or [name + ".cc"],
        tags = tags + ["benchmark"],
        deps = deps + ["@benchmark"],
        **kwargs
    )
    native.sh_test(
        name = name + "_dry_run",
        size = "small",
        srcs = [Label("//tools/bazel:dry_run.sh")],
        args = ["$(location :%s)" % name] + dry_run_args,
        data = [":" + name],
    )

def retort_cc_fuzz(name, deps = [], test_deps = [], test_size = "small"):
    """A function LLVMFuzzerTestOneInput in <name>.cc, which takes any bytes whatever without harm.

    <name>_test.cc calls it by itself, with inputs that it makes and spoils (testing/fuzz/mutated.h), and hands those it
    starts from to KeepFuzzSeeds (testing/fuzz/seeds.h); that test runs everywhere. testing/fuzz/run builds and runs
    <name>_fuzzer.

    Args:
      name: of the source, by custom fuzz_<what>.
      deps: of the function.
      test_deps: of its test, besides.
      test_size: of its test.
    """
    retort_cc_library(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        deps = deps,
    )
    retort_cc_test(
        name = name + "_test",
        size = test_size,
        deps = test_deps + [":" + name, Label("//testing/fuzz:mutated"), Label("//testing/fuzz:seeds")],
    )
    cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        linkstatic = True,
        tags = ["fuzz", "manual"],
        deps = [":" + name],
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
