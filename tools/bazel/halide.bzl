"""Halide operations: a generator compiled for the machine that builds, and what it emits as a cc_library.

    halide_op(
        name = "box_blur",                    # function retort::ops::box_blur, header "retort/ops/box_blur.h"
        src = "box_blur_generator.cc",        # HALIDE_REGISTER_GENERATOR(BoxBlur, box_blur)
        gpu = ["cuda", "opencl"],             # also :box_blur_cuda and :box_blur_opencl, functions of the same names,
    )                                         # and :box_blur_ptx_test, which assembles the CUDA kernels

    bazel run :box_blur.rungen -- --help      # any of them from the command line, on any sizes; with --benchmarks=all, timed
"""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library")

# One function holds a variant for each; the machine's best is chosen when it is called first. Best first, and every
# target's features include those of the next.
_CPU = [
    "x86-64-linux-sse41-avx-avx2-f16c-fma-avx512-avx512_skylake",
    "x86-64-linux-sse41-avx-avx2-f16c-fma",
    "x86-64-linux-sse41",
]

# PTX for this capability is compiled by the driver for newer chips. `user_context` carries LibTorch's stream.
_GPU = {
    "cuda": "x86-64-linux-sse41-avx-avx2-f16c-fma-cuda-cuda_capability_80-user_context",
    "opencl": "x86-64-linux-sse41-avx-avx2-f16c-fma-opencl-user_context",
}

# Output attribute of _halide_emit -> (what the generator calls it, how the file's name ends).
_EMIT = {
    "library": ("static_library", ".a"),
    "header": ("c_header", ".h"),
    "ptx": ("device_code", ".device_code"),
    "registration": ("registration", ".registration.cpp"),
}

def _halide_emit_impl(ctx):
    emit = {kind: getattr(ctx.outputs, kind) for kind in _EMIT if getattr(ctx.outputs, kind)}
    outputs = emit.values()
    stem = outputs[0].basename[:-len(_EMIT[emit.keys()[0]][1])]
    args = ctx.actions.args()
    args.add("-n", stem)
    args.add("-o", outputs[0].dirname)
    if ctx.attr.registered:
        args.add("-g", ctx.attr.registered)
        args.add("-f", ctx.attr.function)
    else:
        args.add("-r", stem)
    args.add_joined("-e", [_EMIT[kind][0] for kind in emit], join_with = ",")
    args.add_joined(ctx.attr.targets, join_with = ",", format_joined = "target=%s")
    args.add_all(["%s=%s" % (key, value) for key, value in sorted(ctx.attr.params.items())])
    ctx.actions.run(
        outputs = outputs,
        executable = ctx.executable.generator,
        arguments = [args],
        mnemonic = "HalideEmit",
        progress_message = "Generating %s" % ctx.label,
    )
    return [DefaultInfo(files = depset(outputs))]

_halide_emit = rule(
    implementation = _halide_emit_impl,
    doc = "Runs a generator. Without a registered name it emits the runtime.",
    attrs = dict({kind: attr.output() for kind in _EMIT}, **{
        "generator": attr.label(mandatory = True, executable = True, cfg = "exec"),
        "registered": attr.string(),
        "function": attr.string(),
        "targets": attr.string_list(mandatory = True),
        "params": attr.string_dict(),
    }),
)

def halide_generator(name, srcs, deps = [], **kwargs):
    """The program that emits operations; only needed by itself when several halide_op share it."""
    cc_binary(
        name = name,
        srcs = srcs,
        copts = ["-std=c++17", "-O1", "-fno-rtti", "-Wall", "-Wextra", "-Werror"],
        deps = deps + [str(Label("@halide//:generator"))],
        **kwargs
    )

# large_buffers: a resident data set may exceed 2^31 bytes. With --config=asan the generated code is watched, too.
def _with_features(targets):
    features = "-large_buffers-no_runtime-c_plus_plus_name_mangling"
    return select({
        str(Label("//tools/bazel:asan")): [target + features + "-asan" for target in targets],
        "//conditions:default": [target + features for target in targets],
    })

def _op(name, binary, generator, function, targets, params, runtime, ptx, kwargs):
    _halide_emit(
        name = name + "_emit",
        function = "retort::ops::" + function,
        generator = binary,
        registered = generator,
        header = name + ".h",
        library = name + ".a",
        params = params,
        ptx = ptx,
        targets = _with_features(targets),
    )
    cc_library(
        name = name,
        srcs = [name + ".a"],
        hdrs = [name + ".h"],
        include_prefix = "retort",
        linkstatic = True,
        strip_include_prefix = "/",
        deps = [runtime, str(Label("@halide//:runtime_headers"))],
        **kwargs
    )
    _halide_emit(
        name = name + "_registration",
        function = "retort::ops::" + function,
        generator = binary,
        params = params,
        registered = generator,
        registration = name + ".registration.cpp",
        tags = ["manual"],
        targets = _with_features(targets[-1:]),
    )
    cc_binary(
        name = name + ".rungen",
        srcs = [name + ".registration.cpp"],
        tags = ["manual"],
        visibility = [str(Label("//ops:__pkg__"))],
        deps = [":" + name, str(Label("@halide//:rungen"))],
    )

def halide_op(
        name,
        src = None,
        generator = None,
        function = None,
        binary = None,
        params = {},
        gpu = [],
        gpu_features = [],
        cpu = True,
        deps = [],
        runtime = Label("//ops:halide_runtime"),
        max_registers = 64,
        exact = False,
        store_bytes = 0,
        **kwargs):
    """An operation as a cc_library with the header "retort/<package>/<name>.h".

    Args:
      name: of the library.
      src: source of the generator, unless `binary` is given.
      generator: name the generator is registered under; defaults to `name`.
      function: C++ function in namespace retort::ops; defaults to `name`.
      binary: a halide_generator shared by several operations, instead of `src`.
      params: GeneratorParams.
      gpu: of "cuda", "opencl"; each adds a library <name>_<gpu> with the function <function>_<gpu>, whose first
        parameter is the user context.
      gpu_features: Halide's names of what the GPU variants need besides, such as "cl_doubles".
      cpu: False where only a GPU has this variant.
      deps: of the generator: cc libraries with shared algorithm functions.
      runtime: the program's one halide_runtime.
      max_registers: a thread of a CUDA kernel may have, as Halide's runtime loads it: 64 at most. The test fails above
        it, and on any spill or stack.
      exact: whether the test also fails where CUDA's compiler fused a product and a sum, in spite of strict_float.
      store_bytes: the test also fails where a CUDA kernel has a store to global memory of fewer bytes.
      **kwargs: visibility and the like.
    """
    if (src == None) == (binary == None):
        fail("halide_op %s: give either src (its generator's source) or binary (a halide_generator)." % name)
    if src:
        binary = name + "_generator"
        halide_generator(name = binary, srcs = [src], deps = deps)
    for kind in gpu:
        if kind not in _GPU:
            fail("halide_op %s: gpu \"%s\" is unknown. Permitted: %s." % (name, kind, ", ".join(_GPU.keys())))
    for suffix, targets in ([("", _CPU)] if cpu else []) + [("_" + kind, ["-".join([_GPU[kind]] + gpu_features)]) for kind in gpu]:
        _op(
            name + suffix,
            binary,
            generator or name,
            (function or name) + suffix,
            targets,
            params,
            str(runtime),
            name + "_cuda.device_code" if suffix == "_cuda" else None,
            kwargs,
        )
    if "cuda" in gpu:
        ptxas = str(Label("@ptxas//:ptxas"))
        native.sh_test(
            name = name + "_ptx_test",
            size = "small",
            srcs = [Label("//tools/bazel:check_ptx.py")],
            args = [
                "$(location %s)" % ptxas,
                "$(location %s_cuda.device_code)" % name,
                str(max_registers),
                "--store_bytes=%d" % store_bytes,
            ] + (["--no_fma"] if exact else []),
            data = [name + "_cuda.device_code", ptxas],
        )

def _halide_archives_impl(ctx):
    inputs = depset(transitive = [dep[CcInfo].linking_context.linker_inputs for dep in ctx.attr.deps])
    archives = [
        library.static_library
        for linker_input in inputs.to_list()
        for library in linker_input.libraries
        if library.static_library and not library.static_library.basename.startswith("lib")
    ]
    return [DefaultInfo(files = depset(archives), runfiles = ctx.runfiles(archives))]

halide_archives = rule(
    implementation = _halide_archives_impl,
    doc = "What generators emitted of all that `deps` need: every variant of an operation, and the runtime.",
    attrs = {"deps": attr.label_list(providers = [CcInfo])},
)

def halide_runtime(name, gpu = ["cuda", "opencl"], **kwargs):
    """Halide's runtime, once for a program. GPU drivers are opened only when an operation asks for one."""
    binary = name + "_generator"
    halide_generator(name = binary, srcs = [Label("//tools/bazel:halide_runtime_generator.cc")])
    _halide_emit(
        name = name + "_emit",
        generator = binary,
        library = name + ".a",
        targets = ["-".join(["x86-64-linux"] + gpu)],
    )
    cc_library(
        name = name,
        srcs = [name + ".a"],
        linkopts = ["-ldl", "-pthread"],
        linkstatic = True,
        deps = [str(Label("@halide//:runtime_headers"))],
        **kwargs
    )
