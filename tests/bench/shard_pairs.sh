#!/usr/bin/env bash
# What does full sharding, or another layout of a step on its ranks, cost on a slow link, and is it what was predicted? Trains unsharded on
# hosts with such links, simulates that log with the layout, and trains so, in turn.
#
#   tests/bench/shard_pairs.sh [RUN.toml [PAIRS [STEPS [HOSTS [LINK]]]]]
#     RUN.toml   configs/runs/dit-s-2.toml; PAIRS 5; STEPS 20; HOSTS 2, network namespaces (tests/netlab.sh) with a rank each; LINK 8gbit. Root
#   In the environment: train="--set batch.global=16", further options of both trainings; layout="comm.sharding=full", settings of the second
#   training alone, and simulate="--sharding full", the same as options of gpumonth simulate. For ranks that share samples:
#     layout=run.sequence_parallel=2 simulate="--sequence-parallel 2 --batch-per-rank 8"
#   and sizes="--min-bytes 1M --max-bytes 64M", of the all-reduces that the links are fitted to
#
# Latency and bandwidth of the simulated links are fitted to all-reduces between the hosts, measured first (gpumonth comm). One line a
# pair, of medians over steady steps: exposed communication as trained so and as predicted, the difference as a share of the
# step; what the step waited for gathers, and which share of the time inside gathers was hidden; the two step times. Last, medians. All-to-alls
# of ranks that share samples are exposed, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/mpi_env.sh
source tests/bench/median.sh
source tests/bench/run_log.sh
run=${1:-configs/runs/dit-s-2.toml} pairs=${2:-5} steps=${3:-20} hosts=${4:-2} link=${5:-8gbit}
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
why=$(tests/netlab.sh can) || { echo "shard_pairs.sh: $why" >&2; exit 2; }
layout=${layout:-comm.sharding=full} simulate=${simulate:---sharding full} sizes=${sizes:---min-bytes 1M --max-bytes 64M}
work=$(mktemp -d)
tests/netlab.sh up "$hosts" "$link"
trap 'tests/netlab.sh down; rm -rf "$work"' EXIT
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }
train() {  # FOLDER SETTING...
  local folder=$1 setting
  local -a settings=()
  shift
  for setting; do settings+=(--set "$setting"); done
  # shellcheck disable=SC2086  # a list of options
  quietly tests/netlab.sh mpirun "$hosts" "$gpumonth" train "$run" --set run.steps="$steps" --set run.threads=1 --set log.measure_gemm_peak=false \
    --set log.bucket_every=2 --set checkpoint.at_end=false --set checkpoint.every_steps=0 --set "run.directory=$folder" ${train:-} "${settings[@]}"
}
medians() {  # LOG COLUMN...: of the steady steps, ms
  local log=$1 column
  shift
  for column; do
    has_column "$log" "$column" || { printf '0 '; continue; }
    paste <(steps_column "$log" phase; echo) <(steps_column "$log" "$column"; echo) |
      awk "$awk_median"'$1 == "steady" {t[++n] = 1e3 * $2} END {printf "%s ", median(t, n)}'
  done
}

# shellcheck disable=SC2086
quietly tests/netlab.sh mpirun "$hosts" "$gpumonth" comm $sizes --log "$work/comm.h5"
printf '%-5s %12s %14s %12s %12s %12s %12s %12s\n' pair 'exposed, ms' 'predicted, ms' 'diff, %step' 'waited, ms' 'hidden, %' 'step, ms' 'predicted, ms'
for ((pair = 1; pair <= pairs; ++pair)); do
  train "$work/whole-$pair"
  # shellcheck disable=SC2086
  quietly "$gpumonth" simulate "$work/whole-$pair/run.h5" --cluster configs/clusters/netlab.toml --ranks "$hosts" --calibrate "$work/comm.h5" \
    $simulate --steps 50 --seed "$pair" -o "$work/simulated-$pair"
  # shellcheck disable=SC2086
  train "$work/full-$pair" $layout
  read -r x e w g t <<<"$(medians "$work/full-$pair/run.h5" exposed_comm_s exchange_s exposed_gather_s gather_s step_time_s)"
  read -r px pe pt <<<"$(medians "$work/simulated-$pair/simulated-n$hosts.h5" exposed_comm_s exchange_s step_time_s)"
  awk -v p=$pair -v x="$x" -v e="$e" -v px="$px" -v pe="$pe" -v w="$w" -v g="$g" -v t="$t" -v pt="$pt" 'BEGIN {
    x += e; px += pe
    printf "%-5d %12.2f %14.2f %+12.2f %12.2f %12.1f %12.2f %12.2f\n", p, x, px, 100 * (px - x) / t, w, (g > 0 ? 100 * (1 - w / g) : 0), t, pt}' |
    tee -a "$work/pairs"
done
awk "$awk_median"'{exposed[NR] = $2; ratio[NR] = $3 / $2; diff[NR] = $4; hidden[NR] = $6; step[NR] = $8 / $7}
  END {printf "median exposed %.2f ms, predicted over that %.3f, difference %+.2f %% of the step; gathers hidden %.1f %%; predicted step over trained %.3f\n",
         median(exposed, NR), median(ratio, NR), median(diff, NR), median(hidden, NR), median(step, NR)}' "$work/pairs"
