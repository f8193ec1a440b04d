#!/usr/bin/env bash
# Time and memory of gpumonth simulate against the number of ranks: the table in docs/simulate.md. One process, one core.
#
#   tests/bench/simulate_scale.sh BUILD [RUN.h5 [STEPS [RANKS]]]     e.g. build/tests run.h5 10 8,64,512,4096,16384
#
# Without a log: the one of 2 CPU ranks in docs/measurements. jq is not needed; python3 is.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:?usage: simulate_scale.sh BUILD [RUN.h5 [STEPS [RANKS]]]}
log=${2:-$root/docs/measurements/2026-11-23-cpu-zen5/weak-b4-n2-r1.h5}
steps=${3:-10} ranks=${4:-8,64,512,4096,16384}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$build/gpumonth" simulate "$log" --cluster "$root/configs/clusters/dgx-h100.toml" --ranks "$ranks" --steps "$steps" \
  -o "$work/logs" --json >"$work/result.json"
python3 - "$work/result.json" "$steps" <<'PY'
import json, sys
result, steps = json.load(open(sys.argv[1])), sys.argv[2]
print(f"{result['simulator']}, {result['cluster']}, {steps} steps")
print("| ranks | hosts | step | simulated in | memory |\n|---|---|---|---|---|")
for row in result["rows"]:
    print(f"| {row['ranks']:,} | {row['hosts']:,} | {1e3 * row['step_s']:.2f} ms | {row['wall_s']:.2f} s | "
          f"{row['peak_bytes'] / 2**20:,.0f} MiB |")
PY
