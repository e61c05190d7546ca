"""LibTorch from PyTorch's wheel: a CPU build, and the CUDA libraries that go with it."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//tools/bazel:wheel.bzl", "wheel_repository")

# The wheel's own protobuf is older than ours and would hide it.
_HEADERS = {
    "torch/include/": "include/",
    "torch/include/google/": "",
}

_CPU_LIBRARIES = {
    "torch/lib/libtorch_cpu.so": "lib/libtorch_cpu.so",
    "torch/lib/libc10.so": "lib/libc10.so",
    "torch/lib/libgomp.so.1": "lib/libgomp.so.1",
    # libtorch_cpu of a CUDA build is linked against these two even where no GPU is used.
    "nvidia/cu13/lib/libcudart.so.13": "lib/libcudart.so.13",
    "nvidia/cu13/lib/libcupti.so.13": "lib/libcupti.so.13",
}

# In the folder of the others, since they find each other by a path relative to themselves.
_CUDA_LIBRARIES = dict(_CPU_LIBRARIES.items() + {
    "torch/lib/libtorch_cuda.so": "lib/libtorch_cuda.so",
    "torch/lib/libc10_cuda.so": "lib/libc10_cuda.so",
    "nvidia/cu13/include/": "cuda/",
}.items())

def _libtorch(name, keep):
    maybe(
        wheel_repository,
        name = name,
        lock = Label("//tools/third_party/libtorch:libtorch.lock"),
        build_file = Label("//tools/third_party/libtorch:libtorch.BUILD"),
        keep = dict(_HEADERS.items() + keep.items()),
    )

def repo():
    """Defines @libtorch, and @libtorch_cuda, which is only fetched where --config=cuda asks for it."""
    _libtorch("libtorch", _CPU_LIBRARIES)
    _libtorch("libtorch_cuda", _CUDA_LIBRARIES)
