#!/usr/bin/env bash
# Is one build of gpumonth faster than another? Trains with both in turn and prints the ratio of their mean steps.
#
#   tests/bench/two_builds.sh OLD NEW [PAIRS [STEPS]]     two gpumonth binaries, each in its own checkout; 5 pairs of 30 steps
#
# DiT-S/2 at batch 8, bf16 and fp32, 1 rank of 2 threads and 2 ranks of 1. A pair is OLD then NEW, the next one NEW
# then OLD. The ratio is NEW's step over OLD's: median of the pairs, and the smallest and largest.
set -euo pipefail
(($# >= 2)) || { echo "usage: tests/bench/two_builds.sh OLD NEW [PAIRS [STEPS]]" >&2; exit 2; }
old=$(realpath "$1") new=$(realpath "$2") pairs=${3:-5} steps=${4:-30}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/mpi_env.sh
source tests/bench/median.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step_ms() {  # PROGRAM RANKS THREADS DTYPE: mean of the steady steps
  rm -rf "$work/run"
  mpirun "${mpi_options[@]}" -n "$2" "$1" train configs/runs/dit-s-2.toml --set run.steps="$steps" --set run.threads="$3" \
    --set run.dtype="$4" --set batch.global=8 --set log.measure_gemm_peak=false --set checkpoint.at_end=false \
    --set checkpoint.every_steps=0 --set "run.directory=$work/run" 2>&1 | sed -nE 's/.*steady steps, mean ([0-9.]+) ms.*/\1/p'
}
printf '%-22s %10s %10s   %s\n' case 'old, ms' 'new, ms' 'new / old'
for case in '1 2 bf16' '2 1 bf16' '1 2 fp32' '2 1 fp32'; do
  read -r ranks threads dtype <<<"$case"
  for ((i = 0; i < pairs; ++i)); do
    if ((i % 2)); then
      b=$(step_ms "$new" "$ranks" "$threads" "$dtype") a=$(step_ms "$old" "$ranks" "$threads" "$dtype")
    else
      a=$(step_ms "$old" "$ranks" "$threads" "$dtype") b=$(step_ms "$new" "$ranks" "$threads" "$dtype")
    fi
    echo "$a $b"
  done | awk -v name="$dtype, $ranks x $threads" "$awk_median"'
    {old[NR] = $1; new[NR] = $2; ratio[NR] = $2 / $1}
    END {m = median(ratio, NR); printf "%-22s %10.1f %10.1f   %.3f (%.3f to %.3f)\n", name, median(old, NR), median(new, NR), m, ratio[1], ratio[NR]}'
done
