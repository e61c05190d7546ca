#!/bin/sh
# All variants of all ops, for processors and GPUs, add at most 25 MB of code and data to a program.
set -eu
size "$@" | awk '
  NR > 1 {
    split($0, part, "ex ")
    room = part[2]
    sub(/\).*/, "", room)
    sub(/.*ops\//, "", room)
    sub(/\/.*/, "", room)
    bytes[room] += $1 + $2
    total += $1 + $2
  }
  END {
    for (room in bytes) printf "%10d %s\n", bytes[room], room
    printf "%10d together; permitted are 25000000\n", total
    exit total == 0 || total > 25000000
  }'
