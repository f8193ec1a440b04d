#!/usr/bin/env bash
# What jobs/bundle.sh builds is configured otherwise than everything else here: test programs with a shared Catch2, for another
# machine's folders. One of them is built so and runs, without which only the bundle itself would show that it cannot be.
set -euo pipefail
source_dir=$1 build=$2

rm -rf "$build"
cd "$source_dir"  # where the preset is
cmake --preset bundle-cpu -G Ninja -B "$build"
cmake --build "$build" --target base_tests -j "$(nproc)"
"$build/tests/base/base_tests" "a large segment is split"
