#!/usr/bin/env bash
# Two builds of gpumonth say the same: after a change that is meant to move code and not numbers.
#
#   tests/same_output.sh OLD NEW       two gpumonth binaries, each in its own checkout; exit 1 where they differ
#
# Compared byte by byte: text and JSON of every command on the shipped configs, logs and tables, the page without its
# date, exported tables. By value: the losses and gradient norms of seeded trainings on 1 and 2 ranks (fp32, bf16,
# recompute), their checkpoints, and the probe's output. What names the build itself (version, commit) is left out.
set -euo pipefail
(($# == 2)) || { echo "usage: tests/same_output.sh OLD NEW" >&2; exit 2; }
old=$(realpath "$1") new=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/mpi_env.sh
root_of() {  # PROGRAM: the checkout that it was built in; configs are read from there
  local at=$1
  while [[ $at != / && ! -d $at/configs/scenarios ]]; do at=$(dirname "$at"); done
  echo "$at"
}
old_root=$(root_of "$old") new_root=$(root_of "$new")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
logs=(docs/measurements/2026-11-23-cpu-zen5/*.h5)
differ=0 same=0

# both NAME COMMAND...: with OLD and NEW in the place of the word gpumonth; standard output, errors and exit code compared
both() {
  local name=$1 which program root code
  shift
  for which in old new; do
    program=${!which} root=${which}_root code=0
    (cd "${!root}" && "${@/#gpumonth/$program}" >"$work/$which.txt" 2>&1) || code=$?
    sed -i "s|${!root}|CHECKOUT|g" "$work/$which.txt"
    echo "exit $code" >>"$work/$which.txt"
  done
  report "$name" cmp "$work/old.txt" "$work/new.txt"
}
report() {  # NAME COMMAND...: which says with its exit code whether both are the same
  local name=$1
  shift
  if "$@" >"$work/cmp" 2>&1; then same=$((same + 1)); else
    differ=$((differ + 1))
    echo "DIFFERS: $name"
    diff "$work/old.txt" "$work/new.txt" | head -n 6 || true
  fi
}

for command in '' train probe comm doctor flops fit compare budget report; do both "help $command" gpumonth $command --help; done
both 'train --help-config' gpumonth train --help-config
for model in configs/models/*.toml; do
  both "flops $(basename "$model")" gpumonth flops "$model" --json
  both "flops $(basename "$model"), text" gpumonth flops "$model" --batch 4
done
for scenario in configs/scenarios/*.toml; do
  for format in '' --json; do
    both "budget $(basename "$scenario") $format" gpumonth budget "$scenario" $format
    both "budget $(basename "$scenario") --runs $format" gpumonth budget "$scenario" --runs "${logs[@]}" $format
    both "budget $(basename "$scenario") --gpus $format" gpumonth budget "$scenario" --gpus 512,4096 $format
  done
done
both 'budget --backtest' gpumonth budget --backtest
both 'budget --backtest --json' gpumonth budget --backtest --json
both 'fit of runs' gpumonth fit "${logs[@]}"
both 'fit of runs, JSON' gpumonth fit "${logs[@]}" --json
both 'fit of a table' gpumonth fit --csv "configs/published/scaling.csv" --curve mlperf_flux1_b200_v5.1_uflorida --json
both 'fit exported' gpumonth fit "${logs[@]}" --export-csv /dev/stdout --export-extrap /dev/stdout
half=$((${#logs[@]} / 2))
first=$(IFS=,; echo "${logs[*]:0:half}") second=$(IFS=,; echo "${logs[*]}")
both 'compare' gpumonth compare "$first" "$second"
both 'compare, JSON' gpumonth compare "$first" "$second" --json
for which in old new; do
  root=${which}_root
  cd "${!root}"
  "${!which}" report "${logs[@]}" -o "$work/$which.html" --scenario "configs/scenarios/sora-2024.toml" --gpus 1024,4096 \
    >/dev/null
  "${!which}" compare "$first" "$second" --plot "$work/$which.svg" --force >/dev/null
  # the date, and gnuplot's own stamp
  sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:]{5,8}( UTC|Z)?//g' "$work/$which.html" >"$work/$which.txt"
done
cd "$new_root"
report 'report' cmp "$work/old.txt" "$work/new.txt"
report 'compare --plot' cmp "$work/old.svg" "$work/new.svg"

# trainings: NAME RANKS SETTING...
trained() {
  local name=$1 ranks=$2 which root object
  shift 2
  for which in old new; do
    rm -rf "$work/run" "$work/run-$which"  # the folder's name stands in the files
    root=${which}_root
    mpirun "${mpi_options[@]}" -n "$ranks" "${!which}" train "${!root}/configs/runs/tiny.toml" --set run.steps=12 \
      --set checkpoint.every_steps=6 --set run.threads=1 --set "run.directory=$work/run" "$@" >/dev/null
    mv "$work/run" "$work/run-$which"
  done
  : >"$work/old.txt"; : >"$work/new.txt"
  for object in loss grad_norm; do
    report "$name: $object" h5diff "$work/run-old/run.h5" "$work/run-new/run.h5" "/steps/$object"
  done
  report "$name: checkpoint" h5diff "$work/run-old/checkpoint-12.h5" "$work/run-new/checkpoint-12.h5"
}
trained 'fp32, 1 rank' 1 --set run.dtype=fp32
trained 'bf16, 1 rank' 1
trained 'bf16, 2 ranks, recompute' 2 --set run.recompute=true
trained 'fp32, 2 ranks' 2 --set run.dtype=fp32
echo "$same the same, $differ differ"
((differ == 0))
