#!/usr/bin/env bash
# What a folder of sources takes to compile, against the same folder of another commit: all its files as one unit, as the
# build compiles them (unity builds), with its options but for warnings; in turn, so that both meet the same machine.
#
#   tests/bench/compile_time.sh [FOLDER [COMMIT [PAIRS]]]    scaling/fit, b6857d1^ (the fit before 2026-11-27), 5
#
# Prints processor seconds of each pair, and the median of their ratios.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/bench/median.sh
folder=${1:-scaling/fit} commit=${2:-b6857d1^} pairs=${3:-5}
work=$(mktemp -d)
trap 'git worktree remove --force "$work/old" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add -q --detach "$work/old" "$commit"
unit() {  # TREE: processor seconds
  (cd "$1"; for file in "$folder"/*.cpp; do echo "#include \"$file\""; done >"$work/unit.cpp"
   TIMEFORMAT=%U; time g++ -std=c++20 -O3 -DNDEBUG -I. -isystem /usr/include/hdf5/serial -isystem /usr/include/eigen3 \
     -DGLOG_CUSTOM_PREFIX_SUPPORT -Wno-subobject-linkage -c -o /dev/null "$work/unit.cpp") 2>&1
}
printf '%-5s %10s %10s %8s\n' pair "before, s" "now, s" ratio
for ((pair = 1; pair <= pairs; ++pair)); do
  old=$(unit "$work/old") new=$(unit .)
  awk -v p=$pair -v o="$old" -v n="$new" 'BEGIN {printf "%-5d %10.2f %10.2f %8.3f\n", p, o, n, n / o}' | tee -a "$work/pairs"
done
awk "$awk_median"'{r[NR] = $4} END {printf "median ratio %.3f\n", median(r, NR)}' "$work/pairs"
