#!/usr/bin/env bash
# What compute buys in quality, as the estimate's figure shows it: one small model trained on the procedural set with 1, 4 and
# 32 times the compute, sampled, evaluated, and laid side by side on a page.
#
#   jobs/quality.sh [options] [--set a.b=v ...]
#     --base 300               optimizer steps of the 1 x run
#     --factors "1 4 32"       compute of the runs, in units of it
#     --count 256              samples of each
#     --steps 50               denoising steps, DDIM
#     --guidance 1.5
#     --threads 0              of each program; 0: all cores. Bits are the same for one number of threads
#     --out runs/quality       folder; what is done there is not repeated
#     --gpumonth FILE          the program; default: the newest of build/*/gpumonth
#
# Leaves OUT/<factor>x/ with checkpoint, run log and samples, OUT/quality.json and OUT/report.html. The EMA is a mean over about
# the last tenth of each run, decay 1 - 10 / steps. Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: the run in progress writes a
# checkpoint, and the script ends with code 3; the same command goes on.
# Cost: 37 x base steps of 32 samples of dit-tiny, 50 ms of CPU time each, and 3 x 256 samples, 60 ms each (measured on a Xeon with
# bf16): 10 minutes of CPU time; docs/sampling.md has the figure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/mpi_env.sh
source jobs/training.sh
source jobs/sweeping.sh

ranks=1 base=300 factors='1 4 32' count=256 steps=50 guidance=1.5 threads=0 out=runs/quality gpumonth='' launch=mpirun
read_options "base factors count steps guidance threads out gpumonth set" "$@"
((${#given[@]} == 0)) || fail "unknown argument ${given[0]}; see $0 --help"
# shellcheck disable=SC2086  # a list
require_whole $factors $base $count $steps
[[ $threads == 0 ]] || require_whole "$threads"
extra=(--set "run.threads=$threads" "${extra[@]}")
((base >= 20)) || fail "--base $base: give 20 steps or more"
set_defaults
config=configs/runs/quality.toml
keep_plan "$(printf '%s\n' "$(sha256sum <"$config")" "base $base" "factors $factors" "count $count" "steps $steps" \
  "guidance $guidance" "${extra[@]}")" "runs of other factors, steps or settings"
stop_on_signals

read -ra all <<<"$factors"
declare -i finished=0 total=${#all[@]}
checkpoints=() samples=() logs=()
for factor in "${all[@]}"; do
  run=$out/${factor}x n=$((factor * base)) code=0
  [[ -n $stopped ]] || train_to_end "$gpumonth" 1 "$run" "$config" --set "run.steps=$n" --set "run.name=${factor} x" \
    --set "optimizer.ema_decay=$(awk -v n="$n" 'BEGIN {printf "%.6g", 1 - 10 / n}')" "${extra[@]}" || code=$?
  end_where_stopped "$code" "$finished" "$total" runs
  ((code == 0)) || fail "$factor x failed with code $code; all it said: $run/output"
  checkpoints+=("$run/checkpoint-$n.h5") samples+=("$run/samples/samples.h5")
  mapfile -t -O "${#logs[@]}" logs < <(ls "$run"/run*.h5)
  if [[ ! -e $run/samples/samples.h5 || ! -e $run/samples/samples.png ]]; then
    rm -rf "$run/samples"
    "$gpumonth" sample "$run/checkpoint-$n.h5" -o "$run/samples" --count "$count" --sampler ddim --steps "$steps" \
      --guidance "$guidance" --batch 32 --threads "$threads" </dev/null >"$run/sample-output" 2>&1 || code=$?
    [[ -z $stopped ]] || end_where_stopped 3 "$finished" "$total" runs
    ((code == 0)) || { tail -n 3 "$run/sample-output" >&2; fail "sampling of $factor x failed with code $code"; }
  fi
  finished+=1
  echo "[$finished/$total] $factor x: $(tail -n 1 "$run/output")"
done

"$gpumonth" evaluate "${checkpoints[@]}" --samples "${samples[@]}" --threads "$threads" --force -o "$out/quality.json"
"$gpumonth" report "${logs[@]}" --quality "$out/quality.json" --force -o "$out/report.html"
