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

fail() {
  echo "sweep.sh: $*" >&2
  exit 2
}
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

config='' ranks='' batch='' strong='' repeats=3 steps=60 every=20 out=runs/sweep gpumonth='' launch=${launch:-auto}
extra=()
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --ranks | --batch | --strong | --repeats | --steps | --out | --gpumonth | --launch | --checkpoint-every | --set)
      (($# >= 2)) || fail "$1 needs a value; see $0 --help"
      case $1 in
        --set) extra+=(--set "$2") ;;
        --checkpoint-every) every=$2 ;;
        *) declare "${1#--}=$2" ;;
      esac
      shift 2 ;;
    -*) fail "unknown option $1; see $0 --help" ;;
    *) [[ -z $config ]] || fail "two run files, $config and $1: give one"
      config=$1
      shift ;;
  esac
done
[[ -n $config ]] || fail "no run file; e.g. $0 configs/runs/tiny.toml"
[[ -r $config ]] || fail "$config cannot be read"
[[ -n $batch$strong ]] || batch=8
for number in $ranks $batch $strong $repeats $steps $every; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || fail "'$number' is not a positive whole number"
done
if [[ -z $ranks ]]; then
  most=${SLURM_NTASKS:-$(nproc)}
  for ((n = 1; n <= most; n *= 2)); do ranks+="$n "; done
fi
if [[ -z $gpumonth ]]; then
  gpumonth=$(ls -t build/*/gpumonth 2>/dev/null | head -n1)
  [[ -n $gpumonth ]] || fail "no build/*/gpumonth: run jobs/quickstart.sh or jobs/build.sh cpu gpumonth first"
fi
[[ -x $gpumonth ]] || fail "$gpumonth is no program: give one with --gpumonth"
mkdir -p "$out" 2>/dev/null && [[ -w $out ]] || fail "$out cannot be written: choose another with --out"

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

# What was asked for, so that two sweeps do not end up in one folder. The launcher and the order may change.
plan=$(printf '%s\n' "$(sha256sum <"$config")" "steps $steps" "${points[@]}" "${extra[@]}")
if [[ -e $out/plan && $plan != "$(cat "$out/plan")" ]]; then
  fail "$out holds a sweep with other points, steps or settings: choose another folder with --out, or remove it"
fi
printf '%s\n' "$plan" >"$out/plan"

stopped=
for signal in INT TERM HUP USR1 USR2; do
  # shellcheck disable=SC2064  # the signal's name now
  trap "stopped=$signal; stop_training USR1" $signal
done

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
      --set "run.steps=$steps" --set "checkpoint.every_steps=$every" --set "run.name=$name" "${extra[@]}" || code=$?
    if [[ -n $stopped || $code == 3 ]]; then
      echo "sweep.sh: stopped by SIG${stopped:-USR1} with $finished of $total runs finished; the same command goes on" >&2
      exit 3
    fi
    ((code == 0)) || fail "$name, repeat $r, failed with code $code; all it said: $run/output"
    finished+=1
    echo "[$finished/$total] $name repeat $r$already: $(grep -m1 -o '[0-9.]* samples/s, [0-9.]* [A-Z]*FLOP/s' "$run/output" || echo 'no steady steps')"
  done
done

mapfile -t logs < <(find "$out" -name 'run*.h5' -path '*-r[0-9]*' | sort)
"$gpumonth" fit "${logs[@]}" --export-csv "$out/curve.csv"
