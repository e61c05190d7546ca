#!/usr/bin/env bash
# first_batch_dry_run.sh PROGRAM: a small file is written, and gives its first batch.
set -euo pipefail
file="$TEST_TMPDIR/images.safetensors"
"$1" make "$file" 200
[[ "$("$1" "$file")" == ready ]] || { echo "no batch"; exit 1; }
code=0
"$1" || code=$?
((code == 64)) || { echo "exit code $code for no file"; exit 1; }
