#!/usr/bin/env bash
# A cluster rehearsed on this machine: one GPU's logs replayed on 1 to 32 hosts (network namespaces with shaped links,
# tests/netlab.sh), against two forecasts that have seen less: a fit on at most 4 hosts, and a simulation that was
# calibrated on two. Root.
#
#   tests/bench/rehearsal.sh LOG-A.h5 LOG-B.h5 [OUT [STEPS [HOSTS]]]      runs/rehearsal, 10, "1 2 4 8 16 32"
#
# Six settings: log, link, bucket, stragglers. A step takes 8 times as long as recorded and sends 0.001 of its bytes, so that
# 50 Mbit/s stand for 400 Gbit/s, and two cores carry the messages of 32 hosts: `empty` is a step of the same messages with next
# to no bytes in them, what the cores alone take of it. A smaller share would make messages
# of some hundred bytes, and headers a tenth of the traffic.
# What was replayed stays in OUT and is not repeated. Some 20 minutes on a machine on which nothing else runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/mpi_env.sh
source tests/bench/median.sh
(($# >= 2)) || { sed -n 2,12p "$0"; exit 2; }
a=$(realpath "$1") b=$(realpath "$2") out=$(realpath -m "${3:-runs/rehearsal}") steps=${4:-10}
read -ra hosts <<<"${5:-1 2 4 8 16 32}"
gpumonth=$(readlink -f "${GPUMONTH:-$(ls -t build/*/gpumonth | head -n1)}")
why=$(tests/netlab.sh can) || { echo "rehearsal.sh: $why" >&2; exit 2; }
trap 'tests/netlab.sh down' EXIT
# Open MPI sends messages above this after a handshake, in one direction at a time over TCP: half the rate of a link that does both
export MPIRUN_ARGS='--mca btl_tcp_eager_limit 1048576'
mkdir -p "$out"
settings=( # name log link bucket,MiB stragglers
  'a-400g-128 a 50mbit 128 off'
  'a-200g-128 a 25mbit 128 off'
  'a-400g-256 a 50mbit 256 off'
  'a-200g-256-stragglers a 25mbit 256 0.02,0.01'
  'b-200g-128-stragglers b 25mbit 128 0.02,0.01'
  'b-100g-256 b 12.5mbit 256 off'
)
changes=(--steps "$steps" --compute-scale 8)
share='--byte-scale 0.001'
most=${hosts[-1]} seen='' unseen=''
for n in "${hosts[@]}"; do if ((n <= 4)); then seen+=" $n"; else unseen+=" $n"; fi; done
comma() { echo "$*" | tr ' ' ','; }

replay() {  # FOLDER HOSTS OPTIONS...
  local folder=$1 n=$2 begin
  shift 2
  [[ ! -e $folder/run.h5 ]] || return 0
  rm -rf "$folder" && mkdir -p "$folder"
  begin=$(awk 'NR == 1 {print $2 + $3 + $4 + $7 + $8, $5 + $6}' /proc/stat)
  tests/netlab.sh mpirun "$n" "$gpumonth" replay "$@" "${changes[@]}" --reduce none --directory "$folder" \
    >"$folder/output" 2>&1 </dev/null || { tail -5 "$folder/output" >&2; rm -f "$folder/run.h5"; return 1; }
  # processor time of the machine, start and end included: busy and idle, hundredths of a second
  echo "$begin $(awk 'NR == 1 {print $2 + $3 + $4 + $7 + $8, $5 + $6}' /proc/stat)" >"$folder/processor"
}
# FOLDER of a replay: mean step and exposed communication, ms
measured() { sed -n 's/.*steady steps, mean \([0-9.]*\) ms.* exposed communication \([0-9.]*\) .*/\1 \2/p' "$1/output"; }

: >"$out/forecasts"
for setting in "${settings[@]}"; do
  read -r name log rate mib stragglers <<<"$setting"
  folder=$out/$name options=("${!log}" --bucket-mib "$mib" --stragglers "$stragglers")
  tests/netlab.sh up "$most" "$rate" 9216 9000
  # shellcheck disable=SC2086  # lists
  for n in "${hosts[@]}"; do replay "$folder/n$n" "$n" "${options[@]}" $share; done
  replay "$folder/empty" "$most" "${options[@]}" --byte-scale 0.000002
  [[ -e $folder/comm.h5 ]] ||
    tests/netlab.sh mpirun 2 "$gpumonth" comm --max-bytes 1048576 --log "$folder/comm.h5" >"$folder/comm.txt" 2>&1
  tests/netlab.sh down

  logs=()
  for n in $seen; do logs+=("$folder/n$n/run.h5"); done
  # shellcheck disable=SC2086
  "$gpumonth" fit "${logs[@]}" --predict "$(comma $unseen)" >"$folder/fit.txt"
  rm -rf "$folder/simulated"
  # shellcheck disable=SC2086
  "$gpumonth" simulate "${options[@]}" --cluster configs/clusters/netlab.toml --calibrate "$folder/comm.h5" \
    --ranks "$(comma "${hosts[@]:1}")" "${changes[@]}" $share -o "$folder/simulated" >"$folder/simulated.txt"
  for n in "${hosts[@]}"; do
    read -r step exposed <<<"$(measured "$folder/n$n")"
    awk -v setting="$name" -v n="$n" -v step="$step" -v exposed="$exposed" '
      FNR == 1 {part = ""}
      /^Forecast/ {part = "fit"}
      part == "fit" && $1 == n && NF == 8 {fit = 1e3 * n * $2 / $3; low = 1e3 * n * $2 / $5; high = 1e3 * n * $2 / $4}
      FILENAME ~ /simulated/ && $1 == n && $4 == "ms" {simulated = $3}
      END {
        printf "%-22s %3d %9.1f %9.1f", setting, n, step, exposed
        if (fit) printf " %9.1f %9.1f %9.1f %+7.2f %3s", fit, low, high, 100 * (fit / step - 1), low <= step && step <= high ? "yes" : "no"
        else printf " %9s %9s %9s %7s %3s", "-", "-", "-", "-", "-"
        if (simulated) printf " %9.1f %+7.2f\n", simulated, 100 * (simulated / step - 1); else printf " %9s %7s\n", "-", "-"
      }' "$folder/fit.txt" "$folder/simulated.txt" >>"$out/forecasts"
  done
done

echo 'ms; fit: on at most 4 hosts, with its 90 % interval; simulated: calibrated on two hosts; off: %'
printf '%-22s %3s %9s %9s %9s %9s %9s %7s %3s %9s %7s\n' setting N replayed exposed fit low high off in simulated off
cat "$out/forecasts"
awk "$awk_median"'
  function size(x) {return x < 0 ? -x : x}
  $8 != "-" {f[++nf] = size($8); inside += $9 == "yes"; if (f[nf] > ff) ff = f[nf]}
  $11 != "-" {s[++ns] = size($11); if (s[ns] > fs) fs = s[ns]}
  END {printf "fit: median error %.2f %%, farthest %.2f %%, %d of %d inside 90 %%; simulation: median %.2f %%, farthest %.2f %%\n",
         median(f, nf), ff, inside, nf, median(s, ns), fs}' "$out/forecasts"
for setting in "${settings[@]}"; do
  read -r name _ <<<"$setting"
  awk -v setting="$name" -v n="$most" -v all="$(measured "$out/$name/n$most")" -v none="$(measured "$out/$name/empty")" '{
    split(all, a); split(none, e)
    printf "%-22s %d hosts: cores busy %.0f %% of the time; of %.1f ms exposed, %.1f with next to no bytes\n", setting, n,
      100 * ($3 - $1) / ($3 - $1 + $4 - $2), a[2], e[2]}' "$out/$name/n$most/processor"
done
