#!/usr/bin/env bash
# Replays recorded training on several numbers of ranks, repeated, one run log per replay: what it would cost here.
#
#   jobs/replay.sh RUN.h5... [options] [-- options of gpumonth replay ...]
#     --ranks "1 2 4 8"        numbers of ranks; default: 1 2 4 ... up to the cores of this machine or the allocation's tasks
#     --repeats 3              of every number of ranks, each with a seed of its own
#     --steps 60               steps of a replay
#     --out runs/replay        folder; an interrupted sweep goes on there, finished replays are not repeated
#     --gpumonth FILE          the program; default: the newest of build/*/gpumonth
#     --launch auto            auto | mpirun | srun
#
#   jobs/replay.sh runs/one-gpu/run.h5 --ranks "8 16 32" -- --byte-scale 0.001 --reduce none --bucket-mib 64
#
# At the end it prints the table of the scaling curve and leaves it as OUT/curve.csv. Under Slurm: jobs/replay.sbatch.
# Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: the sweep ends after the step in progress with code 3; the same command goes
# on, and repeats the replay that was interrupted. Cost: numbers of ranks x repeats x steps x recorded step time.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/mpi_env.sh
source jobs/training.sh
source jobs/sweeping.sh

logs=() ranks='' repeats=3 steps=60 out=runs/replay gpumonth='' launch=${launch:-auto}
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    --ranks | --repeats | --steps | --out | --gpumonth | --launch)
      (($# >= 2)) || fail "$1 needs a value; see $0 --help"
      declare "${1#--}=$2"
      shift 2 ;;
    -*) fail "unknown option $1; see $0 --help, and put options of gpumonth replay behind --" ;;
    *) logs+=("$(cd "$here" && realpath -m "$1")")
      shift ;;
  esac
done
((${#logs[@]})) || fail "no run log; e.g. $0 runs/one-gpu/run.h5"
for log in "${logs[@]}"; do [[ -r $log ]] || fail "$log cannot be read"; done
# shellcheck disable=SC2086  # lists
require_whole $ranks $repeats $steps
set_defaults

# What was asked for.
plan=$(printf '%s\n' "$(cat "${logs[@]}" | sha256sum)" "ranks $ranks" "steps $steps" "repeats $repeats" "$@")
keep_plan "$plan" "replays of other logs, ranks, steps or settings"
stop_on_signals

read -ra points <<<"$ranks"
declare -i finished=0 total=$((${#points[@]} * repeats))
for ((r = 1; r <= repeats; ++r)); do
  for n in "${points[@]}"; do
    run=$out/n$n-r$r
    already=; [[ -e $run/finished ]] && already=', was there'
    code=0
    [[ -n $stopped ]] || replay_to_end "$gpumonth" "$n" "$run" "${logs[@]}" --steps "$steps" --seed "$r" "$@" || code=$?
    end_where_stopped "$code" "$finished" "$total" replays
    ((code == 0)) || fail "$n ranks, repeat $r, failed with code $code; all it said: $run/output"
    finished+=1
    echo "[$finished/$total] $n ranks repeat $r$already: $(grep -m1 -o '[0-9.]* samples/s, [0-9.]* [A-Z]*FLOP/s' "$run/output" || echo 'no steady steps')"
  done
done

mapfile -t replays < <(find "$out" -name run.h5 -path '*/n[0-9]*-r[0-9]*' | sort)
"$gpumonth" fit "${replays[@]}" --export-csv "$out/curve.csv"
