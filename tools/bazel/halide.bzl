"""Halide pipelines compiled ahead of time."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library")

# Picked when the program starts: the first that the machine can run.
_CPU_TARGETS = [
    "x86-64-linux-sse41-avx-avx2-f16c-fma-avx512-avx512_skylake",
    "x86-64-linux-sse41-avx-avx2-f16c-fma",
    "x86-64-linux-sse41",
]

def halide_op(name, src, params = {}, deps = [], visibility = None, targets = _CPU_TARGETS):
    """Compiles a generator into a library with the function retort::ops::<name> and the header "retort/<folder>/<name>.h".

    Args:
      name: of the library, of the function, and that under which the generator is registered.
      src: source of the generator.
      params: generator parameters, name -> value.
      deps: what the generator needs beside Halide.
      visibility: of the library.
      targets: Halide targets of one machine type; the last one must run everywhere.
    """
    generator = name + "_generator"
    cc_binary(
        name = generator,
        srcs = [src],
        copts = ["-O1", "-fno-rtti"],
        deps = deps + ["@halide//:generator"],
    )

    # large_buffers: a resident data set may exceed 2^31 bytes.
    target = ",".join([t + "-large_buffers-no_runtime-c_plus_plus_name_mangling" for t in targets])
    native.genrule(
        name = name + "_compile",
        outs = [name + ".a", name + ".h"],
        cmd = " ".join(
            ["$(location :{g}) -g {n} -n {n} -f retort::ops::{n} -o $(RULEDIR) -e static_library,c_header".format(g = generator, n = name)] +
            ["{}={}".format(key, value) for key, value in params.items()] +
            ["target=" + target],
        ),
        tools = [":" + generator],
    )
    cc_library(
        name = name,
        srcs = [name + ".a"],
        hdrs = [name + ".h"],
        include_prefix = "retort",
        strip_include_prefix = "/",
        visibility = visibility,
        deps = [Label("//ops:halide_runtime"), "@halide//:runtime_headers"],
    )

def halide_runtime(name, visibility = None):
    """The part of Halide that runs in the program: one for all ops of a binary.

    Args:
      name: of the library.
      visibility: of the library.
    """
    generator = name + "_generator"
    cc_binary(
        name = generator,
        srcs = [Label("//tools/bazel:halide_runtime_generator.cc")],
        copts = ["-O1", "-fno-rtti"],
        deps = ["@halide//:generator"],
    )
    native.genrule(
        name = name + "_compile",
        outs = [name + ".a"],
        cmd = "$(location :{g}) -r {n} -o $(RULEDIR) -e static_library target={t}".format(g = generator, n = name, t = _CPU_TARGETS[-1]),
        tools = [":" + generator],
    )
    cc_library(
        name = name,
        srcs = [name + ".a"],
        linkopts = ["-ldl", "-lpthread"],
        visibility = visibility,
        deps = ["@halide//:runtime_headers"],
    )
