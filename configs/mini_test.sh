#!/usr/bin/env bash
# Every experiment's config, in the small: mini_test.sh DISTILL CONFIG... runs each to its report, and once more, which makes nothing.
set -euo pipefail
distill="$1"
shift
for config in "$@"; do
  log="$TEST_TMPDIR/$(basename "$config").log"
  for round in first again; do
    if ! "$distill" --config="$config" --store="$TEST_TMPDIR/store" >"$log" 2>&1; then
      echo "$config ($round) failed:"
      tail -n 30 "$log"
      exit 1
    fi
  done
  if grep -E '^(RUN|DONE) ' "$log"; then
    echo "$config: its second run made something again"
    exit 1
  fi
  json="$(grep -Eo '[^ ]*/results\.json' "$log" | tail -n 1)"
  [[ -s "$json" ]] || { echo "$config left no results.json"; exit 1; }
  echo "$config: $(grep -c '"seed"' "$json") rows"
done
