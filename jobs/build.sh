#!/usr/bin/env bash
# Configures a preset of CMakePresets.json where needed and builds targets of it. Where there is no terminal to
# count the steps on, it prints only what went wrong.
#
#   jobs/build.sh cpu            everything, tests too
#   jobs/build.sh cpu gpumonth   the program alone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:?usage: jobs/build.sh PRESET [TARGET...]}
shift
build=build/$preset log=build/$preset.log
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}

# One compiler per core, and 1 GiB of free memory for each.
free_gib=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
jobs=$(nproc)
((jobs <= free_gib)) || jobs=$((free_gib > 0 ? free_gib : 1))

# A build folder that came along with a copied or moved tree is of no use here.
fresh=()
if [[ -e $build/CMakeCache.txt ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$build/CMakeCache.txt"; then
  fresh=(--fresh)
fi

fail() {
  grep -E -A8 'CMake Error|error:|FAILED:' "$log" | head -n 30 >&2 || true
  echo "build.sh: $1 failed; everything it said is in $PWD/$log" >&2
  exit 1
}

mkdir -p build
if [[ ! -e $build/build.ninja || ${#fresh[@]} != 0 ]]; then echo "first build of $build with $jobs jobs: some minutes"; fi
cmake --preset "$preset" "${fresh[@]}" >"$log" 2>&1 || fail "configuring $build"
if [[ -t 1 ]]; then  # one live line that counts the steps
  cmake --build "$build" -j "$jobs" ${1:+--target "$@"} || fail "building $build"
else
  cmake --build "$build" -j "$jobs" ${1:+--target "$@"} >>"$log" 2>&1 || fail "building $build"
fi
echo "built $build"
