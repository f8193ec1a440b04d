#!/usr/bin/env bash
# Does sampling reach the rate of training's forward, and does its time go with the number of steps? Trains and samples the same
# network on as many rows in turn, and prints both as shares of the matrix product rate that each measured at its start.
#
#   tests/bench/sampling.sh [RUN.toml [PAIRS [ROWS]]]     configs/runs/dit-s-2.toml, 5 pairs, 8 rows through the network
#     In the environment: set="--set run.dtype=bf16 --set run.threads=1" for the training, sample="--dtype bf16 --threads 1"
#
# A pair is 12 steps of training and three samplings of 10, 20 and 40 DDIM steps without guidance. Rate: FLOPs of forward over
# its median time, steady steps only. Linear: the median steady step of 20 and of 40 steps over that of 10; the first steps, which touch
# memory for the first time, are the same few in all of them. CPU: user and system seconds of the whole commands, what 20 steps more
# take over what 10 more do, 2 where time is linear; it does not count what other tenants of the host take, but waiting threads
# count: say threads = 1 for it.
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
seconds() {
  paste <(steps_column "$1" phase; echo) <(steps_column "$1" step_time_s; echo) |
    awk "$awk_median"'$1 == "steady" {t[++n] = $2} END {printf "%.6f\n", median(t, n)}'
}

# Seconds of CPU of this script's commands until now.
cpu_s() {
  times >"$work/times"
  awk 'NR == 2 {gsub(/m/, " "); gsub(/s/, ""); print 60 * ($1 + $3) + $2 + $4}' "$work/times"
}

printf '%-5s %16s %16s %8s %12s %12s %10s\n' pair 'forward, GFLOP/s' 'sample, GFLOP/s' ratio '20/10 steps' '40/10 steps' 'CPU, 2'
for ((pair = 1; pair <= pairs; ++pair)); do
  # shellcheck disable=SC2086  # lists of options
  quietly "$gpumonth" train "$run" --set run.steps=12 --set "batch.global=$rows" --set checkpoint.at_end=true \
    --set "run.directory=$work/train-$pair" ${set:-}
  spent=()
  for steps in 10 20 40; do
    cpu_s >"$work/before"
    # shellcheck disable=SC2086
    quietly "$gpumonth" sample "$work/train-$pair/checkpoint-12.h5" -o "$work/sample-$pair-$steps" --count "$rows" --batch "$rows" \
      --sampler ddim --steps $steps --guidance 1 --no-sheet ${sample:-}
    cpu_s >"$work/after"
    spent+=("$(paste "$work/after" "$work/before" | awk '{print $1 - $2}')")
  done
  read -r trained trained_share <<<"$(rate "$work/train-$pair/run.h5" 0.333333333)"
  read -r sampled sampled_share <<<"$(rate "$work/sample-$pair-40/run.h5" 1)"
  awk -v p=$pair -v t="$trained" -v ts="$trained_share" -v s="$sampled" -v ss="$sampled_share" \
    -v a="$(seconds "$work/sample-$pair-10/run.h5")" -v b="$(seconds "$work/sample-$pair-20/run.h5")" \
    -v c="$(seconds "$work/sample-$pair-40/run.h5")" -v cpu="${spent[*]}" 'BEGIN {
      split(cpu, x, " ")
      printf "%-5d %8.1f (%4.1f %%) %7.1f (%4.1f %%) %8.3f %12.3f %12.3f %10.3f\n", p, t / 1e9, 100 * ts, s / 1e9, 100 * ss, s / t, b / a, c / a,
        (x[3] - x[2]) / (x[2] - x[1])}' |
    tee -a "$work/pairs"
  rm -rf "$work/train-$pair"
done
awk "$awk_median"'{r[NR] = $(NF - 3); b[NR] = $(NF - 2); c[NR] = $(NF - 1); cpu[NR] = $NF}
  END {printf "medians: sampling over training'"'"'s forward %.3f; seconds a step, 20 steps over 10 %.3f, 40 over 10 %.3f; CPU of 20 steps more over 10 more %.3f\n",
         median(r, NR), median(b, NR), median(c, NR), median(cpu, NR)}' "$work/pairs"
