#!/usr/bin/env bash
# One round of the first case: a positive rate. An unknown case ends the program with 64.
set -euo pipefail
rate="$(echo C1 | tools/bench/ops_benchmark)"
[[ "$rate" =~ ^[0-9.e+]+$ ]] || { echo "not a rate: $rate"; exit 1; }
code=0
echo C0 | tools/bench/ops_benchmark || code=$?
((code == 64)) || { echo "exit code $code for an unknown case"; exit 1; }
