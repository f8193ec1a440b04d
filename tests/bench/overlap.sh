#!/usr/bin/env bash
# How much of the communication hides behind backward where it is slow: two hosts on this machine (network
# namespaces, tests/netlab.sh) joined by a shaped link, one rank each, DiT-S/2. Prints the run's own summary and
# the time that the gradients need on the wire at that rate. Root.
#
# Cost: half a minute on 2 cores.
# Usage: tests/bench/overlap.sh [GPUMONTH [RATE_GBIT [GLOBAL_BATCH]]]
set -euo pipefail
cd "$(dirname "$0")/../.."
source jobs/mpi_env.sh
gpumonth=$(readlink -f "${1:-build/cpu/gpumonth}") rate=${2:-2} batch=${3:-32}
model=$(readlink -f configs/models/dit-s-2.toml)
why=$(tests/netlab.sh can) || { echo "overlap.sh: $why" >&2; exit 2; }
work=$(mktemp -d)
tests/netlab.sh up 2 "${rate}gbit"
trap 'tests/netlab.sh down; rm -rf "$work"' EXIT
printf '[model]\nfrom = "%s"\n[run]\nsteps = 10\nthreads = 1\n[log]\nsteady_after = 2\nmeasure_gemm_peak = false\n[checkpoint]\nat_end = false\n' "$model" >"$work/run.toml"
parameters=$("$gpumonth" flops "$model" --json | sed -n "s/^  \"params\": \([0-9]*\).*/\1/p")
tests/netlab.sh mpirun 2 "$gpumonth" train "$work/run.toml" --set "run.directory=$work/out" --set "batch.global=$batch" |
  grep 'steady steps'
awk "BEGIN {printf \"%d gradients of 4 bytes at %s Gbit/s: %.0f ms on the wire each way\n\", $parameters, $rate, $parameters * 32 / ($rate * 1e6)}"
