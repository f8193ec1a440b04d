#!/usr/bin/env bash
# From a fresh clone to a report in one command: installs what is missing, builds, trains a small DiT on one and on two
# ranks, works out the Sora estimate again with what was measured, and writes a page with plots.
#
#   jobs/quickstart.sh              about 3 minutes on 2 cores, 1 minute the second time
#   STEPS=100 jobs/quickstart.sh    fewer optimizer steps per run than 600
#
# Writes only into build/ and runs/. Installing packages needs root or sudo, see jobs/install.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/mpi_env.sh
started=$SECONDS

fail() {
  echo "quickstart.sh: $*" >&2
  exit 2
}
say() { printf '\n== %s\n' "$*"; }
trap 'echo; echo "quickstart.sh: interrupted; what is built stays, run it again to go on" >&2; exit 130' INT TERM

steps=${STEPS:-600}
[[ $# == 0 ]] || fail "unknown argument '$1': it takes none; STEPS=100 $0 trains fewer steps"
[[ $steps =~ ^[1-9][0-9]{1,6}$ && $steps -ge 20 ]] || fail "STEPS=$steps: give a number of optimizer steps from 20 on"
mkdir -p build runs 2>/dev/null && [[ -w build && -w runs ]] ||
  fail "$PWD/build or $PWD/runs cannot be written: use a checkout of your own, e.g. git clone . ~/gpumonth"

say "packages"
jobs/install.sh build
echo "all there"

say "build"
preset=cpu
if [[ -e /dev/nvidia0 ]] || nvidia-smi -L >/dev/null 2>&1; then
  if command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; then
    preset=cuda
  else
    echo "there is a GPU, but no nvcc: building for the CPU (the CUDA Toolkit 12.4 or newer brings nvcc)"
  fi
fi
jobs/build.sh "$preset" gpumonth
gpumonth=build/$preset/gpumonth

say "the model: a DiT that a laptop trains"
"$gpumonth" flops configs/models/dit-tiny.toml | sed '/^layer/,$d'

out=runs/quickstart-$(date -u +%Y%m%dT%H%M%SZ)
mkdir "$out" 2>/dev/null || fail "$PWD/$out exists already: run it again in a second"

# As many threads for each rank in both runs, half of the cores: runs that differ in it do not belong on one curve.
threads=$(($(nproc) / 2))
((threads > 0)) || threads=1

# The resolved configuration, some 50 lines from [model] on, goes to the file only.
train() {
  local ranks=$1 name=$2
  shift 2
  "$@" "$gpumonth" train configs/runs/tiny.toml --set "run.directory=$out/$name" --set "run.steps=$steps" \
    --set "run.threads=$threads" </dev/null 2>&1 | tee "$out/$name.log" | sed -u '/^\[model\]$/,/ parameters, /{/ parameters, /!d}' || {
    [[ $? != 3 ]] || fail "training on $ranks rank(s) was stopped by a signal: run it again"
    tail -n 3 "$out/$name.log" >&2
    fail "training on $ranks rank(s) failed; all it said: $PWD/$out/$name.log"
  }
}

say "training, 1 rank"
train 1 1rank

say "training, 2 ranks"
train 2 2ranks mpirun "${mpi_options[@]}" -n 2

say "what the full-size run costs, with what was measured here"
runs=("$out/1rank/run.h5" "$out/2ranks/run.h5")
# All of it is some 80 lines: here up to the table of runs, the rest is on the page.
"$gpumonth" budget configs/scenarios/sora-2024.toml --runs "${runs[@]}" |
  awk 'BEGIN {RS = ""} !enough {print separator $0; separator = "\n"} /^Run logs/ {enough = 1}'

say "report"
"$gpumonth" report "${runs[@]}" --scenario configs/scenarios/sora-2024.toml -o "$out/report.html"

seconds=$((SECONDS - started))
cat <<END

Done in $((seconds / 60)) min $((seconds % 60)) s.
  the page        $PWD/$out/report.html
  the run logs    $out/*/run.h5   (h5dump or h5py; docs/runlog.md)
  what else       $gpumonth --help, README.md
END
