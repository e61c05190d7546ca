"""Everything that Retort is built from; a workspace that uses Retort calls this too."""

load("//tools/third_party/absl:absl.bzl", absl = "repo")
load("//tools/third_party/benchmark:benchmark.bzl", benchmark = "repo")
load("//tools/third_party/googletest:googletest.bzl", googletest = "repo")
load("//tools/third_party/halide:halide.bzl", halide = "repo")
load("//tools/third_party/libarchive:libarchive.bzl", libarchive = "repo")
load("//tools/third_party/libcurl:libcurl.bzl", libcurl = "repo")
load("//tools/third_party/libtorch:libtorch.bzl", libtorch = "repo")
load("//tools/third_party/nlohmann_json:nlohmann_json.bzl", nlohmann_json = "repo")
load("//tools/third_party/openssl:openssl.bzl", openssl = "repo")
load("//tools/third_party/plotly:plotly.bzl", plotly = "repo")
load("//tools/third_party/protobuf:protobuf.bzl", protobuf = "repo")

def retort_dependencies():
    """Defines each dependency that the workspace has not defined itself."""
    absl()
    benchmark()
    googletest()
    halide()
    libarchive()
    libcurl()
    libtorch()
    nlohmann_json()
    openssl()
    plotly()
    protobuf()
