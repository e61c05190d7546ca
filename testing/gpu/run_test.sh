#!/usr/bin/env bash
set -euo pipefail
# For where python3 has no PyTorch.
LD_LIBRARY_PATH="$(dirname "$(find -L "$TEST_SRCDIR" -name libc10.so -print -quit)")"
export LD_LIBRARY_PATH
tar xzf testing/gpu/gpu_bundle.tar.gz --no-same-owner -C "$TEST_TMPDIR"
cd "$TEST_TMPDIR/gpu_bundle"
python3 ./run --json=report.json | tee table
grep -qE "^[0-9]+ passed, [0-9]+ skipped, 0 failed$" table
for test in ops.batch_assembly.batch_assembly_test ops.torch.autograd.softmax_loss_test; do
  grep -qE "^$test +(passed|SKIPPED)" table
done
# Every test has instances on CUDA: none is there in vain.
if grep -E "_test +(passed|SKIPPED) +0 +0 " table; then echo "no instance of these names CUDA"; exit 1; fi
# Likewise every benchmark.
for benchmark in bin/*_benchmark; do
  "$benchmark" --benchmark_list_tests --benchmark_filter=CUDA | grep -q CUDA || { echo "$benchmark has none on CUDA"; exit 1; }
done
# A binary that fails makes the run fail.
printf '#!/bin/sh\nexit 1\n' >bin/broken_test
chmod +x bin/broken_test
if python3 ./run >table; then echo "a failing test passed in silence"; exit 1; fi
grep -qE "^broken_test +FAILED" table
# Another PyTorch's libraries are not taken.
mkdir -p other/torch other/torch-2.10.1.dist-info
touch other/torch/__init__.py
printf 'Metadata-Version: 2.1\nName: torch\nVersion: 2.10.1\n' >other/torch-2.10.1.dist-info/METADATA
if PYTHONPATH=other python3 ./run >table 2>&1; then echo "PyTorch 2.10 was taken"; exit 1; fi
grep -q "has PyTorch 2.10.1; the bundle was built against 2.11" table
