#!/usr/bin/env bash
# What ranks hold, against what `gpumonth flops` says: trains some steps under every sharding, alone and with ranks that share samples.
#
#   tests/bench/memory_per_rank.sh [RUN.toml [RANKS]]     configs/runs/dit-b-4.toml, 4 ranks of this host, fp32, one thread each
#   In the environment: train="--set batch.global=16", further options of all trainings
#
# Memory is the kernel's proportional set size (Pss: a page that n processes share counts 1/n in each), the largest sum seen at one
# moment over all ranks, divided by them: each rank's own largest would count a page in common whole for whoever touches it first.
# "Alone" is that of a network of one narrow block, program and libraries, which is taken off. Columns: planned and measured, MiB a
# rank, and their ratio. Linux; 4 ranks of B/4 take 9 GiB where each holds all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/mpi_env.sh
run=${1:-configs/runs/dit-b-4.toml} ranks=${2:-4}
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
model=$(dirname "$run")/$(sed -n 's/^ *from *= *"\(.*\)".*/\1/p' "$run" | head -n1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The largest sum over the ranks of their Pss, divided by them, MiB, while a training of some steps goes on.
measured() {  # SETTING...
  local setting pid rollups
  local -a settings=()
  for setting; do settings+=(--set "$setting"); done
  rm -rf "$work/run"
  # shellcheck disable=SC2086  # a list of options
  mpirun "${mpi_options[@]}" -n "$ranks" "$gpumonth" train "$run" --set run.steps=4 --set run.threads=1 --set run.dtype=fp32 \
    --set log.measure_gemm_peak=false --set checkpoint.at_end=false --set checkpoint.every_steps=0 --set "run.directory=$work/run" \
    "${settings[@]}" ${train:-} >"$work/output" 2>&1 &
  local job=$!
  : >"$work/samples"
  while kill -0 $job 2>/dev/null; do
    rollups=()
    for pid in $(pgrep -f "^$gpumonth train $run .*$work/run" || true); do rollups+=("/proc/$pid/smaps_rollup"); done
    if ((${#rollups[@]} == ranks)); then awk '/^Pss:/ {sum += $2} END {print sum}' "${rollups[@]}" >>"$work/samples" 2>/dev/null || true; fi
    sleep 0.1
  done
  wait $job || { cat "$work/output" >&2; exit 1; }
  batch=$(sed -n 's/^global = \([0-9]*\).*/\1/p' "$work/output" | head -n1)
  awk -v ranks="$ranks" '$1 > most {most = $1} END {printf "%.1f", most / ranks / 1024}' "$work/samples"
}

alone=$(measured model.hidden_size=64 model.depth=1 model.num_heads=1)
echo "program and libraries: $alone MiB a rank"
printf '%-58s %10s %10s %8s\n' layout 'planned' 'measured' ratio
compare() {  # FLAGS-OF-FLOPS SETTING...
  local flags=$1 planned seen
  shift
  measured "$@" >"$work/seen"
  read -r seen <"$work/seen" || true
  # shellcheck disable=SC2086  # a list
  planned=$("$gpumonth" flops "$model" --dtype fp32 --ranks "$ranks" --ranks-per-host "$ranks" --batch "$((batch * ${sharing:-1} / ranks))" $flags --json |
    sed -n '/"bytes_per_rank"/,/}/s/^ *"total": *\([0-9]*\),*$/\1/p')
  awk -v what="${*:-none}" -v p="$planned" -v s="$seen" -v a="$alone" 'BEGIN {printf "%-58s %10.1f %10.1f %8.3f\n", what, p / 1048576, s - a, (s - a) * 1048576 / p}'
}
compare '--sharding none'
compare '--sharding full' comm.sharding=full
compare "--sharding full --shard-group $((ranks / 2))" comm.sharding=full "comm.shard_group=$((ranks / 2))"
compare '--sharding full --recompute full' comm.sharding=full run.recompute=full
sharing=2 compare '--sequence-parallel 2' run.sequence_parallel=2
sharing=$ranks compare "--sharding full --sequence-parallel $ranks" comm.sharding=full "run.sequence_parallel=$ranks"
