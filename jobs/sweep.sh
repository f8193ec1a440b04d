#!/usr/bin/env bash
# Measures how training scales: the same model on several numbers of ranks, repeated, one run log per run.
#
#   jobs/sweep.sh RUN.toml [options] [--set a.b=v ...]
#     --ranks "1 2 4 8"        numbers of ranks; default: 1 2 4 ... up to the cores of this machine or the allocation's tasks
#     --batch "8 16"           samples per rank (weak scaling), each on every number of ranks; default: 8
#     --strong "64"            samples over all ranks (strong scaling), on the rank counts that divide them
#     --repeats 3              of every point
#     --steps 60               optimizer steps of a run; --checkpoint-every 20 steps of them to go on from
#     --out runs/sweep         folder; an interrupted sweep goes on there, finished runs are not repeated
#     --gpumonth FILE          the program; default: the newest of build/*/gpumonth
#     --launch auto            auto | mpirun | srun
#
# Points are taken in a different order in every repeat, forwards and backwards in turn, so that a machine that
# grows slower or warmer does not look like scaling. At the end it prints the table of the scaling curve and leaves it as
# OUT/curve.csv. Under Slurm: jobs/sweep.sbatch. Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: the run in progress writes a
# checkpoint, and the sweep ends with code 3; the same command goes on. Cost: points x repeats x steps x step time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/mpi_env.sh
source jobs/training.sh
source jobs/sweeping.sh

ranks='' batch='' strong='' repeats=3 steps=60 checkpoint_every=20 out=runs/sweep gpumonth='' launch=${launch:-auto}
read_options "ranks batch strong repeats steps out gpumonth launch checkpoint-every set" "$@"
config=$(the_run_file)
[[ -n $config ]] || fail "no run file; e.g. $0 configs/runs/tiny.toml"
[[ -r $config ]] || fail "$config cannot be read"
[[ -n $batch$strong ]] || batch=8
# shellcheck disable=SC2086  # lists
require_whole $ranks $batch $strong $repeats $steps $checkpoint_every
set_defaults

# A rank has the same threads at every point, or more ranks would only mean fewer threads each.
most=0
for n in $ranks; do ((n > most)) && most=$n; done
threads=${SLURM_CPUS_PER_TASK:-$(($(nproc) / most))}
[[ -n ${SLURM_JOB_ID:-} && -z ${SLURM_CPUS_PER_TASK:-} ]] && threads=1
extra=(--set "run.threads=$((threads > 0 ? threads : 1))" "${extra[@]}")

# One line a point: ranks, samples over all ranks, name.
points=()
for n in $ranks; do
  for b in $batch; do points+=("$n $((n * b)) weak-b$b-n$n"); done
  for b in $strong; do
    if ((b % n == 0)); then points+=("$n $b strong-b$b-n$n"); else echo "sweep.sh: $b samples do not divide over $n ranks: left out" >&2; fi
  done
done
((${#points[@]})) || fail "no point is left to measure"

# What was asked for; the launcher and the order may change.
plan=$(printf '%s\n' "$(sha256sum <"$config")" "steps $steps" "${points[@]}" "${extra[@]}")
keep_plan "$plan" "a sweep with other points, steps or settings"
stop_on_signals

declare -i finished=0 total=$((${#points[@]} * repeats))
for ((r = 1; r <= repeats; ++r)); do
  for ((i = 0; i < ${#points[@]}; ++i)); do
    # repeat r starts somewhere else, every second one goes backwards
    at=$(((r % 2 ? i : ${#points[@]} - 1 - i) + r - 1))
    read -r n global name <<<"${points[at % ${#points[@]}]}"
    run=$out/$name-r$r
    already=; [[ -e $run/finished ]] && already=', was there'
    code=0
    [[ -n $stopped ]] || train_to_end "$gpumonth" "$n" "$run" "$config" --set "batch.global=$global" \
      --set "run.steps=$steps" --set "checkpoint.every_steps=$checkpoint_every" --set "run.name=$name" "${extra[@]}" || code=$?
    end_where_stopped "$code" "$finished" "$total" runs
    ((code == 0)) || fail "$name, repeat $r, failed with code $code; all it said: $run/output"
    finished+=1
    echo "[$finished/$total] $name repeat $r$already: $(grep -m1 -o '[0-9.]* samples/s, [0-9.]* [A-Z]*FLOP/s' "$run/output" || echo 'no steady steps')"
  done
done

mapfile -t logs < <(find "$out" -name 'run*.h5' -path '*-r[0-9]*' | sort)
"$gpumonth" fit "${logs[@]}" --export-csv "$out/curve.csv"
