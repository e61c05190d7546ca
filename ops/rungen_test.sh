#!/bin/sh
# Ops run from the command line: rungen_test.sh MIX_IMAGES CROSS_ENTROPY_KL
set -eu
out="$TEST_TMPDIR/out"
"$1" --describe 2>&1 | tee "$out"
grep -q 'images' "$out"
"$1" 'images=random:1:[3072,3,8]' 'weights=constant:0.3:[3,8]' '--output_extents=[3072,8]' --benchmarks=all \
  --benchmark_min_time=0.001 2>&1 | tee "$out"
grep -q '^Benchmark for mix_images_op produces best case of' "$out"
"$2" --describe 2>&1 | tee "$out"
grep -q 'temperature' "$out"
