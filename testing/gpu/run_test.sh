#!/usr/bin/env bash
set -euo pipefail
tar xzf testing/gpu/gpu_bundle.tar.gz --no-same-owner -C "$TEST_TMPDIR"
cd "$TEST_TMPDIR/gpu_bundle"
python3 ./run --json=report.json | tee table
grep -qE "^[0-9]+ passed, [0-9]+ skipped, 0 failed$" table
grep -qE "^batch_assembly_test +(passed|SKIPPED)" table
# A binary that fails makes the run fail.
printf '#!/bin/sh\nexit 1\n' >bin/broken_test
chmod +x bin/broken_test
if python3 ./run >table; then echo "a failing test passed in silence"; exit 1; fi
grep -qE "^broken_test +FAILED" table
