#!/usr/bin/env bash
# Does sampling's time go with its number of steps? One core is shared, in slices of milliseconds, by a program that samples in N steps
# and one that samples in n steps, again and again until the other ends: both meet the same clock and the same neighbours, and processor
# time counts.
#
#   tests/bench/sampling_steps.sh [RUN.toml [PAIRS [ROWS [N:n...]]]]    configs/runs/dit-s-2.toml, 8 pairs, 4 rows, 50:10 and 250:50
#
# DDIM without guidance, one thread, on the core CORE (0) while others may do what they like. Per pair: processor seconds (user and system)
# of a step of N steps over those of n, 1 where time is linear; what a program needs besides its steps is taken off: that of programs of
# four steps (the first three, which touch memory for the first time, are the log's warm-up), which share the core too, one after the
# other. Last, the median of the pairs, their middle half, and the median's standard error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/bench/median.sh
run=${1:-configs/runs/dit-s-2.toml} pairs=${2:-8} rows=${3:-4}
counts=("${@:4}") base=4
if ((${#counts[@]} == 0)); then counts=(50:10 250:50); fi
for count in "${counts[@]}"; do
  [[ $count =~ ^([0-9]+):([0-9]+)$ ]] && ((BASH_REMATCH[2] > base && BASH_REMATCH[1] % BASH_REMATCH[2] == 0)) ||
    { echo "sampling_steps.sh: '$count' is not N:n with n > $base and N a multiple of it" >&2; exit 2; }
done
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }
quietly "$gpumonth" train "$run" --set run.steps=1 --set "batch.global=$rows" --set checkpoint.at_end=true --set log.measure_gemm_peak=false \
  --set "run.directory=$work/train"

# sampled STEPS: a line of processor seconds into WORK/STEPS. In a shell of its own: `time` counts what children of a shell took that
# end meanwhile
sampled() {
  local steps=$1 TIMEFORMAT='%U %S'
  rm -rf "$work/in-$steps"
  { time taskset -c "${CORE:-0}" "$gpumonth" sample "$work/train/checkpoint-1.h5" -o "$work/in-$steps" --count "$rows" --batch "$rows" \
    --threads 1 --sampler ddim --steps "$steps" --guidance 1 --no-sheet --no-gemm-peak >"$work/said-$steps" 2>&1; } 2>>"$work/$steps" ||
    { cat "$work/said-$steps" >&2; return 1; }
}

for count in "${counts[@]}"; do
  many=${count%:*} few=${count#*:}
  : >"$work/ratios"
  for ((pair = 1; pair <= pairs; ++pair)); do
    rm -f "$work/$many" "$work/$few" "$work/$base"
    sampled "$many" & first=$!
    while kill -0 $first 2>/dev/null; do (sampled "$few"); done & second=$!
    while kill -0 $first 2>/dev/null; do (sampled $base); done
    wait $first
    wait $second
    awk -v many="$many" -v few="$few" -v base="$base" -v ratios="$work/ratios" -v pair="$pair" '
      {s[FILENAME] += $1 + $2; ++n[FILENAME]}
      END {fixed = s[ARGV[3]] / n[ARGV[3]]
           ratio = (s[ARGV[1]] / n[ARGV[1]] - fixed) / (many - base) / ((s[ARGV[2]] / n[ARGV[2]] - fixed) / (few - base))
           printf "%.4f\n", ratio >>ratios
           printf "%d steps over %d, pair %d: %.4f (%.3f s, %.3f s, %.3f s)\n", many, few, pair, ratio,
                  s[ARGV[1]] / n[ARGV[1]], s[ARGV[2]] / n[ARGV[2]], fixed}' "$work/$many" "$work/$few" "$work/$base"
  done
  awk -v many="$many" -v few="$few" "$awk_median"'{r[NR] = $1; sum += $1; squares += $1 * $1}
    END {m = median(r, NR); lo = r[int((NR + 3) / 4)]; hi = r[NR + 1 - int((NR + 3) / 4)]
         deviation = NR > 1 ? sqrt((squares - sum * sum / NR) / (NR - 1)) : 0
         printf "%d steps over %d: median %.4f of %d pairs, middle half %.4f .. %.4f, standard error %.4f\n", many, few, m, NR, lo, hi,
                1.2533 * deviation / sqrt(NR)}' "$work/ratios"
done
