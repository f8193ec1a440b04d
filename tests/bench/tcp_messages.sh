#!/usr/bin/env bash
# Two hosts that all-reduce over TCP: what Open MPI's own way with large messages costs. It asks for the rest of a message by one of its
# own that waits behind what is on its way to the other side, so that the two directions take turns; comm/transports.cpp switches it off.
#
#   tests/bench/tcp_messages.sh [LINK [PAIRS]]    200mbit, 3 pairs. Root: the hosts are network namespaces (tests/netlab.sh)
#
# One line a size: median time of an all-reduce Open MPI's way and gpumonth's, measured in turn, each the median of the pairs, and
# their ratio.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/mpi_env.sh
source tests/bench/median.sh
link=${1:-200mbit} pairs=${2:-3}
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
why=$(tests/netlab.sh can) || { echo "tcp_messages.sh: $why" >&2; exit 2; }
work=$(mktemp -d)
tests/netlab.sh down
tests/netlab.sh up 2 "$link"
trap 'tests/netlab.sh down; rm -rf "$work"' EXIT
measured() {  # FLAGS: bytes and median us, a line a size
  MPIRUN_ARGS=${1:+--mca btl_tcp_flags $1} tests/netlab.sh mpirun 2 "$gpumonth" comm --min-bytes 64k --max-bytes 16M >"$work/output" 2>&1 ||
    { cat "$work/output" >&2; exit 1; }
  awk '$NF == "exact" {print $1, $7}' "$work/output"
}

for ((pair = 1; pair <= pairs; ++pair)); do
  measured 315 >"$work/theirs"
  measured '' >"$work/own"
  paste "$work/theirs" "$work/own" >>"$work/pairs"
done
printf '%12s %16s %14s %8s\n' bytes "Open MPI's, us" 'gpumonth, us' ratio
sort -n "$work/pairs" | awk "$awk_median"'
  function line() {if (n) {a = median(theirs, n); b = median(own, n); printf "%12d %16.1f %14.1f %8.3f\n", bytes, a, b, a / b}}
  $1 != bytes {line(); bytes = $1; n = 0}
  {theirs[++n] = $2; own[n] = $4}
  END {line()}'
