#!/bin/sh
# A program exports none of the symbols of which LibTorch carries a copy. Tests check the same in test_main.cc.
set -eu
# _ZTH is the optional set-up function of a thread-local variable: asked for weakly, and there for nobody if it is not needed.
found=$(readelf --wide --dyn-syms "$1" | grep -vE 'UND _ZTH' | grep -oE '_Z[A-Za-z0-9_]*(6google8protobuf|4absl)[A-Za-z0-9_]*' | head -5 || true)
if [ -n "$found" ]; then
  echo "$1 exports symbols that LibTorch's own copy may take or be taken for:"
  echo "$found"
  echo "Only main may be exported: link through the rules of //tools/bazel:retort.bzl"
  exit 1
fi
