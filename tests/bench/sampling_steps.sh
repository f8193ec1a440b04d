#!/usr/bin/env bash
# Does sampling's time go with its number of steps? Each run is its own measure: what its steps after the n-th took over what those up to
# the n-th took, which is all that a run of n steps would have done. The clock is another program that samples on the same core at the
# same time: the core's own moves by a third within a minute.
#
#   tests/bench/sampling_steps.sh [RUN.toml [RUNS [ROWS [STEPS [n...]]]]]    configs/runs/dit-s-2.toml, 16 runs, 1 row, 250 steps, 10 and 50
#
# DDIM without guidance, one thread, on the core CORE (0). Without the warm-up, the first three steps, which touch memory for the first
# time. Per run and n: steps of the other program in the time of one later step, over those in the time of one of the first, 1 where time is
# linear; then the median of the runs, their middle half and the median's standard error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/bench/median.sh
source tests/bench/run_log.sh
run=${1:-configs/runs/dit-s-2.toml} runs=${2:-16} rows=${3:-1} steps=${4:-250} warm_up=3
firsts=("${@:5}")
if ((${#firsts[@]} == 0)); then firsts=(10 50); fi
fail() { echo "sampling_steps.sh: $*" >&2; exit 2; }
for n in "${firsts[@]}"; do
  [[ $n =~ ^[0-9]+$ ]] && ((n > warm_up && n < steps)) || fail "'$n' is no number of first steps between $warm_up and $steps"
done
command -v h5dump >/dev/null || fail "no h5dump: apt-get install hdf5-tools"
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; fail "failed: $*"; }; }
quietly "$gpumonth" train "$run" --set run.steps=1 --set "batch.global=$rows" --set checkpoint.at_end=true --set log.measure_gemm_peak=false \
  --set "run.directory=$work/train"

sample() {  # FOLDER STEPS
  taskset -c "${CORE:-0}" "$gpumonth" sample "$work/train/checkpoint-1.h5" -o "$work/$1" --count "$rows" --batch "$rows" --threads 1 \
    --sampler ddim --steps "$2" --guidance 1 --no-sheet --no-gemm-peak
}
starts() {  # FOLDER: seconds since 1970 at which each step began
  local zero
  zero=$(h5dump -a /start_time_unix_s -y -m %.17g "$work/$1/run.h5" | grep -oE '^ +[0-9.]+')
  (steps_column "$work/$1/run.h5" start_time_s; echo) | awk -v zero="$zero" '{printf "%.6f\n", zero + $1}'
}

for ((r = 1; r <= runs; ++r)); do
  rm -rf "$work"/{clock,samples}
  sample clock 1000 >"$work/clock-said" 2>&1 & clock=$!
  sleep 2
  quietly sample samples "$steps"
  kill -INT $clock 2>/dev/null || fail "the other program ended first: fewer steps than $steps, please"
  wait $clock || (($? == 130)) || { cat "$work/clock-said" >&2; fail "the other program failed"; }
  starts clock >"$work/clock-starts"
  starts samples >"$work/starts"
  [[ $(wc -l <"$work/starts") == "$steps" ]] || fail "$(wc -l <"$work/starts") step times of $steps in the log"
  for n in "${firsts[@]}"; do
    # The last step's end is in no column: up to its begin.
    awk -v n="$n" -v warm_up=$warm_up -v steps="$steps" '
      function ticks(at) {  # of the other program, until then
        while (tick[last + 1] <= at && last + 1 < ticked) ++last
        if (at < tick[1] || at >= tick[last + 1]) {print "the other program did not run all the time" >"/dev/stderr"; exit 2}
        return last + (at - tick[last]) / (tick[last + 1] - tick[last])
      }
      NR == FNR {tick[++ticked] = $1; last = 1; next}
      {at[FNR] = ticks($1)}
      END {printf "%.5f\n", (at[steps] - at[n + 1]) / (steps - 1 - n) / ((at[n + 1] - at[warm_up + 1]) / (n - warm_up))}
    ' "$work/clock-starts" "$work/starts" >>"$work/ratios-$n"
  done
done
for n in "${firsts[@]}"; do
  awk -v n="$n" -v steps="$steps" "$awk_median"'{r[NR] = $1; sum += $1; squares += $1 * $1}
    END {m = median(r, NR); lo = r[int((NR + 3) / 4)]; hi = r[NR + 1 - int((NR + 3) / 4)]
         deviation = NR > 1 ? sqrt((squares - sum * sum / NR) / (NR - 1)) : 0
         printf "a step of %d over one of the first %d: median %.4f of %d runs, middle half %.4f .. %.4f, standard error %.4f\n",
                steps, n, m, NR, lo, hi, 1.2533 * deviation / sqrt(NR)}' "$work/ratios-$n"
done
