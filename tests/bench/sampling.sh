#!/usr/bin/env bash
# Does sampling reach the rate of training's forward? Trains and samples the same network on as many rows in turn, and prints both
# as shares of the matrix product rate that each measured at its start.
#
#   tests/bench/sampling.sh [RUN.toml [PAIRS [ROWS]]]     configs/runs/dit-s-2.toml, 5 pairs, 8 rows through the network
#     In the environment: set="--set run.dtype=bf16 --set run.threads=1" for the training, sample="--dtype bf16 --threads 1"
#
# A pair is 12 steps of training and a sampling of 20 DDIM steps without guidance. Rate: FLOPs of forward over its median time,
# steady steps only. Whether time goes with the number of steps is tests/bench/sampling_steps.sh's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/bench/median.sh
source tests/bench/run_log.sh
run=${1:-configs/runs/dit-s-2.toml} pairs=${2:-5} rows=${3:-8}
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }
peak() { h5dump -a /gemm_peak_flops_per_s "$1" | awk '/\(0\)/ {print $2}'; }

# rate LOG PART: FLOP/s of forward, PART of model_flops, and its share of the GEMM rate
rate() {
  paste <(steps_column "$1" phase; echo) <(steps_column "$1" forward_s; echo) <(steps_column "$1" model_flops; echo) |
    awk -v part="$2" -v peak="$(peak "$1")" "$awk_median"'$1 == "steady" {t[++n] = $2; f = $3}
      END {r = part * f / median(t, n); printf "%.6g %.4f\n", r, r / peak}'
}

printf '%-5s %16s %16s %8s\n' pair 'forward, GFLOP/s' 'sample, GFLOP/s' ratio
for ((pair = 1; pair <= pairs; ++pair)); do
  # shellcheck disable=SC2086  # lists of options
  quietly "$gpumonth" train "$run" --set run.steps=12 --set "batch.global=$rows" --set checkpoint.at_end=true \
    --set "run.directory=$work/train-$pair" ${set:-}
  # shellcheck disable=SC2086
  quietly "$gpumonth" sample "$work/train-$pair/checkpoint-12.h5" -o "$work/sample-$pair" --count "$rows" --batch "$rows" \
    --sampler ddim --steps 20 --guidance 1 --no-sheet ${sample:-}
  read -r trained trained_share <<<"$(rate "$work/train-$pair/run.h5" 0.333333333)"
  read -r sampled sampled_share <<<"$(rate "$work/sample-$pair/run.h5" 1)"
  awk -v p=$pair -v t="$trained" -v ts="$trained_share" -v s="$sampled" -v ss="$sampled_share" 'BEGIN {
      printf "%-5d %8.1f (%4.1f %%) %7.1f (%4.1f %%) %8.3f\n", p, t / 1e9, 100 * ts, s / 1e9, 100 * ss, s / t}' |
    tee -a "$work/pairs"
  rm -rf "$work/train-$pair"
done
awk "$awk_median"'{r[NR] = $NF} END {printf "median: sampling over training'"'"'s forward %.3f\n", median(r, NR)}' "$work/pairs"
