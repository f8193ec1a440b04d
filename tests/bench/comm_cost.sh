#!/usr/bin/env bash
# What data-parallel training costs over shared memory: two ranks that reduce their gradients against two processes
# that do not communicate, same model, same samples a rank, in turn on the same cores. Prints each pair's slowdown
# and their median. Nothing else may run.
#
# Cost: about 4 minutes on 2 cores for B/4, 10 GB of memory.
# Usage: tests/bench/comm_cost.sh [GPUMONTH [MODEL.toml [SAMPLES_PER_RANK [PAIRS]]]]
set -euo pipefail
cd "$(dirname "$0")/../.."
source jobs/mpi_env.sh
gpumonth=$(readlink -f "${1:-build/cpu/gpumonth}") model=$(readlink -f "${2:-configs/models/dit-b-4.toml}") samples=${3:-16} pairs=${4:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '[model]\nfrom = "%s"\n[run]\nsteps = 10\nthreads = 1\n[log]\nsteady_after = 2\nmeasure_gemm_peak = false\n[checkpoint]\nat_end = false\n' "$model" >"$work/run.toml"

# Mean steady step of one run's output, ms.
step_ms() { sed -n 's/.*steady steps, mean \([0-9.]*\) ms.*/\1/p' "$1"; }
train() { "$gpumonth" train "$work/run.toml" "$@"; }

ratios=()
for pair in $(seq "$pairs"); do
  mpirun "${mpi_options[@]}" -n 2 "$gpumonth" train "$work/run.toml" --set "run.directory=$work/c$pair" \
    --set "batch.global=$((2 * samples))" >"$work/together"
  for i in 1 2; do
    train --set "run.directory=$work/a$pair-$i" --set "batch.global=$samples" >"$work/alone$i" &
  done
  wait
  together=$(step_ms "$work/together") alone1=$(step_ms "$work/alone1") alone2=$(step_ms "$work/alone2")
  ratio=$(awk "BEGIN {a = $alone1 > $alone2 ? $alone1 : $alone2; printf \"%.4f\", $together / a}")
  ratios+=("$ratio")
  echo "pair $pair: 2 ranks $together ms/step, alone $alone1 and $alone2 ms/step: $ratio x the slower one"
  sed -n 's/.*\(exposed communication [0-9.]*\).*\(communication [0-9.]* ms, .*\)/  \1 ms; \2/p' "$work/together"
done
printf '%s\n' "${ratios[@]}" | sort -n | awk '{r[NR] = $1} END {printf "median: communication costs %.1f %%\n", 100 * (r[int((NR + 1) / 2)] - 1)}'
