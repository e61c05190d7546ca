#!/usr/bin/env bash
# dry_run.sh CASE PROGRAM [FLAGS...]: one round of a case gives a positive rate; an unknown case ends the program with 64.
set -euo pipefail
case="$1"
shift
rate="$(echo "$case" | "$@")"
[[ "$rate" =~ ^[0-9.e+]+$ ]] || { echo "not a rate: $rate"; exit 1; }
code=0
echo C0 | "$@" || code=$?
((code == 64)) || { echo "exit code $code for an unknown case"; exit 1; }
