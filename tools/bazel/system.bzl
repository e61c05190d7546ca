"""Libraries of the distribution."""

def _system_repository_impl(ctx):
    missing = [path for path in ctx.attr.needs if not ctx.path(path).exists]
    if missing:
        fail("{}: {} is missing; install the package {}, or run ./bazelw, which does".format(
            ctx.name,
            ", ".join(missing),
            ctx.attr.package,
        ))
    for path, name in ctx.attr.links.items():
        ctx.symlink(path, name)
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

system_repository = repository_rule(
    implementation = _system_repository_impl,
    doc = "A library that the distribution installs; fails with the name of the package where it is not there.",
    local = True,
    attrs = {
        "package": attr.string(mandatory = True, doc = "what to install"),
        "needs": attr.string_list(mandatory = True, doc = "absolute paths that must exist"),
        "links": attr.string_dict(doc = "absolute path -> name in the repository"),
        "build_file": attr.label(mandatory = True, allow_single_file = True),
    },
)
