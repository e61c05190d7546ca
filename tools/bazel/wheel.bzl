"""Files out of Python wheels, pinned by hash."""

def _wheel_repository_impl(ctx):
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")
    python = ctx.which("python3")
    if python == None:
        fail("{}: python3 is missing; install python3 and python3-pip, or run ./bazelw".format(ctx.name))
    ctx.report_progress("downloading and unpacking wheels")
    result = ctx.execute(
        [python, ctx.path(ctx.attr._unpack), ctx.path(ctx.attr.lock)] +
        [prefix + "=" + folder for prefix, folder in ctx.attr.keep.items()],
        timeout = 3600,
        quiet = False,
    )
    if result.return_code != 0:
        fail("{}: unpacking failed; python3 -m pip must work and reach a package index:\n{}".format(
            ctx.name,
            result.stderr,
        ))

wheel_repository = repository_rule(
    implementation = _wheel_repository_impl,
    doc = "Downloads the wheels of a lock file and keeps chosen files.",
    attrs = {
        "lock": attr.label(mandatory = True, allow_single_file = True, doc = "requirements with --hash"),
        "keep": attr.string_dict(
            mandatory = True,
            doc = "prefix of a path in a wheel -> what replaces it here; the longest counts, nothing leaves the file out",
        ),
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "_unpack": attr.label(default = Label("//tools/bazel:unpack_wheels.py"), allow_single_file = True),
    },
)
