"""`shim_repository`: a repository made of a few files of this tree."""

def _shim_repository_impl(ctx):
    for label, path in ctx.attr.files.items():
        ctx.symlink(label, path)
    for path in ctx.attr.packages:
        ctx.file(path + "/BUILD" if path else "BUILD", ctx.attr.packages[path])

shim_repository = repository_rule(
    implementation = _shim_repository_impl,
    attrs = {
        "files": attr.label_keyed_string_dict(doc = "File of this tree to its path in the repository."),
        "packages": attr.string_dict(doc = "Package to the text of its BUILD file."),
    },
)
