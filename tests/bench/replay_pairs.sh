#!/usr/bin/env bash
# Does a replay reproduce what was recorded? Trains, and replays that log at the same ranks, in turn.
#
#   tests/bench/replay_pairs.sh [RUN.toml [PAIRS [STEPS [RANKS [LINK]]]]]
#     RUN.toml   configs/runs/dit-s-2.toml; PAIRS 5; STEPS 40; RANKS 2
#     LINK       e.g. 2gbit: one rank on each of RANKS hosts (network namespaces, tests/netlab.sh) with such links. Root
#   In the environment: train="--set batch.global=16" and replay="--stragglers off", further options of the two commands; whole="--set
#   batch.global=16", those of another training in turn, whose log is replayed in place of the training's own, in its layout by
#   replay="--sharding full"
#
# One line a pair: the median steady step of training and of its replay, their ratio, exposed communication of both, all-to-alls of
# ranks that share samples among it, and their difference as a share of the training's step. Last, the medians over pairs and the
# farthest pair.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/mpi_env.sh
source tests/bench/median.sh
source tests/bench/run_log.sh
run=${1:-configs/runs/dit-s-2.toml} pairs=${2:-5} steps=${3:-40} ranks=${4:-2} link=${5:-}
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [[ -n $link ]]; then
  why=$(tests/netlab.sh can) || { echo "replay_pairs.sh: $why" >&2; exit 2; }
  tests/netlab.sh up "$ranks" "$link"
  trap 'tests/netlab.sh down; rm -rf "$work"' EXIT
fi
launch() {  # COMMAND...
  if [[ -n $link ]]; then tests/netlab.sh mpirun "$ranks" "$@"; else mpirun "${mpi_options[@]}" -n "$ranks" "$@"; fi
}

medians() {  # LOG: of the steady steps' time and exposed communication, ms
  local exchange=exposed_comm_s
  if has_column "$1" exchange_s; then exchange=exchange_s; fi
  paste <(steps_column "$1" phase; echo) <(steps_column "$1" step_time_s; echo) <(steps_column "$1" exposed_comm_s; echo) \
    <(steps_column "$1" $exchange; echo) | awk -v exchanges=$([[ $exchange == exchange_s ]] && echo 1 || echo 0) "$awk_median"'
    $1 == "steady" {t[++n] = 1e3 * $2; x[n] = 1e3 * ($3 + exchanges * $4)}
    END {print median(t, n), median(x, n)}'
}
train() {  # FOLDER OPTION...
  launch "$gpumonth" train "$run" --set run.steps="$steps" --set run.threads=1 --set log.measure_gemm_peak=false --set log.bucket_every=2 \
    --set checkpoint.at_end=false --set checkpoint.every_steps=0 --set "run.directory=$1" "${@:2}" >"$work/output" 2>&1 ||
    { cat "$work/output" >&2; exit 1; }
}

printf '%-5s %12s %12s %8s %12s %12s %12s\n' pair 'trained, ms' 'replayed, ms' ratio 'exposed, ms' 'replayed, ms' 'diff, %step'
for ((pair = 1; pair <= pairs; ++pair)); do
  # shellcheck disable=SC2086  # lists of options
  train "$work/trained-$pair" ${train:-}
  source=$work/trained-$pair
  # shellcheck disable=SC2086
  if [[ -n ${whole:-} ]]; then source=$work/whole-$pair && train "$source" ${whole:-}; fi
  # shellcheck disable=SC2086
  launch "$gpumonth" replay "$source/run.h5" --steps "$steps" --seed "$pair" --directory "$work/replayed-$pair" \
    ${replay:-} >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }
  grep 'sleeps ended' "$work/output" >&2
  read -r t tx <<<"$(medians "$work/trained-$pair/run.h5")"
  read -r r rx <<<"$(medians "$work/replayed-$pair/run.h5")"
  awk -v p=$pair -v t="$t" -v r="$r" -v tx="$tx" -v rx="$rx" \
    'BEGIN {printf "%-5d %12.2f %12.2f %8.4f %12.2f %12.2f %+12.2f\n", p, t, r, r / t, tx, rx, 100 * (rx - tx) / t}' | tee -a "$work/pairs"
done
awk "$awk_median"'{ratio[NR] = $4; diff[NR] = $7; if (($4 - 1) ^ 2 > far ^ 2) far = $4 - 1; if ($7 ^ 2 > fdiff ^ 2) fdiff = $7}
  END {printf "median step ratio %.4f (farthest %+.4f), median exposed difference %+.2f %% of the step (farthest %+.2f)\n",
         median(ratio, NR), far, median(diff, NR), fdiff}' "$work/pairs"
