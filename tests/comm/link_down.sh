#!/usr/bin/env bash
# A host whose link goes down in the middle of a collective: every rank ends by itself, in time, and says for which
# rank it waited.   link_down.sh COMM_VICTIM      exit 77: namespaces do not work here, and why
set -uo pipefail
victim=$1
source "$(dirname "$(readlink -f "$0")")/hosts.sh"
hosts_up 3 1gbit

# own files: what the cut-off rank says does not reach mpirun
timeout -k 2 60 "$netlab" mpirun 3 bash -c "exec $victim reduce 60 2>$out/err.\$OMPI_COMM_WORLD_RANK" >"$out/out" 2>&1 &
job=$!
for _ in $(seq 100); do [ "$(grep -c ^pid "$out/out")" = 3 ] && break; sleep 0.1; done
sleep 1
"$netlab" link 3 down
# watchdog 2 s + 3 s for answers + 3 s for MPI_Abort, on a busy machine
for _ in $(seq 300); do
  alive=0
  for pid in $(awk '$1 == "pid" { print $3 }' "$out/out"); do
    grep -q '^State:[[:space:]]*[^ZX]' "/proc/$pid/status" 2>/dev/null && alive=$((alive + 1))
  done
  [ $alive = 0 ] && break
  sleep 0.1
done
# mpirun itself waits for the daemon of the lost host
kill "$job" 2>/dev/null; wait "$job" 2>/dev/null
cat "$out"/err.*
[ "$(grep -c ^pid "$out/out")" = 3 ] || { echo "FAILED: the job did not start"; cat "$out/out"; exit 1; }
[ $alive = 0 ] || { echo "FAILED: $alive ranks still run after 30 s"; exit 1; }
for rank in 0 1; do
  grep -q '(gradients) in step [0-9]* not done after .* no answer from rank 2 (gpumonth-h3)' "$out/err.$rank" ||
    { echo "FAILED: rank $rank does not name rank 2"; exit 1; }
done
grep -q 'no answer from rank 0 (gpumonth-h1), 1 (gpumonth-h2)' "$out/err.2" ||
  { echo "FAILED: rank 2 does not name ranks 0 and 1"; exit 1; }
echo passed
