#!/usr/bin/env bash
# Does sampling's time go with its number of steps? One core samples in N steps while the other samples N/10 times in 10 steps, then
# the other way round: what slows the host slows both.
#
#   tests/bench/sampling_steps.sh [RUN.toml [PAIRS [ROWS [STEPS...]]]]    configs/runs/dit-s-2.toml, 10 pairs, 4 rows, 20 and 40 steps
#
# DDIM without guidance, one thread. Per pair: seconds a step of N steps over those of 10, the mean over steady steps of both cores,
# 1 where time is linear. The first steps, which touch memory for the first time, are the same few in each, and are left out. Last, the
# median and the middle half of the pairs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/bench/median.sh
source tests/bench/run_log.sh
run=${1:-configs/runs/dit-s-2.toml} pairs=${2:-10} rows=${3:-4}
counts=("${@:4}")
if ((${#counts[@]} == 0)); then counts=(20 40); fi
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
(($(nproc) >= 2)) || { echo "sampling_steps.sh: needs two cores, which sample at the same time" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }
quietly "$gpumonth" train "$run" --set run.steps=1 --set "batch.global=$rows" --set checkpoint.at_end=true --set log.measure_gemm_peak=false \
  --set "run.directory=$work/train"

# sampled CORE STEPS TIMES FILE: FILE gets the seconds of each steady step
sampled() {
  local core=$1 steps=$2 times=$3 file=$4 i
  for ((i = 0; i < times; ++i)); do
    rm -rf "$work/on-$core"
    taskset -c "$core" "$gpumonth" sample "$work/train/checkpoint-1.h5" -o "$work/on-$core" --count "$rows" --batch "$rows" --threads 1 \
      --sampler ddim --steps "$steps" --guidance 1 --no-sheet >"$file.output" 2>&1 || { cat "$file.output" >&2; return 1; }
    paste <(steps_column "$work/on-$core/run.h5" phase; echo) <(steps_column "$work/on-$core/run.h5" step_time_s; echo) |
      awk '$1 == "steady" {print $2}' >>"$file"
  done
}

for steps in "${counts[@]}"; do
  : >"$work/ratios"
  for ((pair = 1; pair <= pairs; ++pair)); do
    rm -f "$work/few" "$work/many"
    for cores in '0 1' '1 0'; do
      read -r one other <<<"$cores"
      sampled "$one" "$steps" 1 "$work/many" & job=$!
      sampled "$other" 10 $((steps / 10)) "$work/few"
      wait $job
    done
    awk 'NR == FNR {many += $1; m = NR; next} {few += $1; ++f} END {printf "%.4f\n", (many / m) / (few / f)}' "$work/many" "$work/few" |
      tee -a "$work/ratios" | awk -v s="$steps" -v p=$pair '{print s " steps over 10, pair " p ": " $1}'
  done
  sort -n "$work/ratios" | awk -v s="$steps" "$awk_median"'{r[NR] = $1}
    END {lo = r[int((NR + 3) / 4)]; hi = r[NR + 1 - int((NR + 3) / 4)]
         printf "%d steps over 10: median %.4f of %d pairs, middle half %.4f .. %.4f\n", s, median(r, NR), NR, lo, hi}'
done
