#!/bin/sh
# Every op runs from the command line, says what it takes and is timed: rungen_test.sh OP...
set -euf

# On images of 32x32 and of 32 features, on logits [128,100]. Innermost dimensions come first.
arguments() {
  logits='logits=random:1:[100,128] labels=zero:[128] teacher=random:2:[100,128] temperature=4'
  features='features=random:1:[16,16,32,8] kind=1 normalize=true'
  given='given=random:2:[16,16,8]'
  images='images=random:1:[3,32,32,9]'
  pass='scale=constant:0.01:[3] offset=zero:[3] lambda=constant:0.5:[8] mix_box=zero:[4,8] reflect=false --output_extents=[32,32,3,8]'
  weights='label_smoothing=0.1 hard_weight=0.1 soft_weight=0.9'
  case "$1" in
    activation_map_planar_square_op) echo "$features" ;;
    activation_map_backward_planar_square_op | attention_transfer_planar_square_op) echo "$features $given" ;;
    augment_op) echo 'images=random:1:[3,32,32,8] records=zero:[8,1,8] tables=zero:[256,3,8] s=0 step=1' ;;
    batch_assembly_float32 | batch_assembly_uint8) echo "$images index=zero:[1,8] params=zero:[7,1,8] $pass" ;;
    batch_assembly_mixed_float32) echo "$images index=zero:[2,8] params=zero:[7,2,8] $pass" ;;
    cross_entropy_op) echo "${logits% teacher*} label_smoothing=0.1" ;;
    cross_entropy_kl_op) echo "$logits $weights" ;;
    cross_entropy_top_k_op)
      echo "${logits% teacher*} values=random:2:[10,128] indices=zero:[10,128] log_sum_exp=constant:5:[128] temperature=4 $weights" ;;
    distill_kl_op) echo 'logits=random:1:[100,128] teacher=random:2:[100,128] temperature=4' ;;
    dkd_op) echo "$logits alpha=1 beta=8" ;;
    mix_images_op) echo 'images=random:1:[3072,3,8] weights=constant:0.3:[3,8] --output_extents=[3072,8]' ;;
    resize_uint8)
      echo 'images=random:1:[96,1,32,9] pixel_stride=3 index=zero:[8] x_first=zero:[16,8] x_weight=constant:1048576:[4,16,8]' \
        'y_first=zero:[16,8] y_weight=constant:1048576:[4,16,8] --output_extents=[16,16,3,8]' ;;
    soft_cross_entropy_op) echo 'logits=random:1:[100,128] targets=constant:0.01:[100,128]' ;;
    *) echo "rungen_test.sh has no arguments for $1" >&2 && return 1 ;;
  esac
}

out="$TEST_TMPDIR/out"
for program in "$@"; do
  op="$(basename "$program" .rungen)"
  given="$(arguments "$op")"
  "$program" --describe 2>&1 | tee "$out"
  grep -q '^  Output ' "$out"
  # shellcheck disable=SC2086  # one word each
  "$program" $given --benchmarks=all --benchmark_min_time=0.001 2>&1 | tee "$out"
  grep -q "^Benchmark for $op produces best case of" "$out"
done
