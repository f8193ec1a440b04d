#!/usr/bin/env bash
# The one test command: installs what is missing, builds everything, lists every test with its labels, runs them.
#
#   tests/run.sh          some 20 to 30 minutes on 2 cores from a cold clone
#   tests/run.sh long     also the tests labelled `long` (campaigns of many runs)
#
# Builds into build/tests with the CUDA parts wherever nvcc is found. The last lines are CTest's own summary: what
# was skipped stands there by name. To repeat one test:  ctest --test-dir build/tests -R NAME --output-on-failure
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/mpi_env.sh

case "${1:-} $#" in
  ' 0') selection=(-LE '^long$') ;;
  'long 1') selection=() ;;
  *) echo "run.sh: usage: tests/run.sh [long]" >&2; exit 2 ;;
esac

if [[ $PWD == *[[:space:]]* ]]; then  # many tests hand their commands to a shell or to mpirun
  echo "run.sh: the tests cannot run below '$PWD', as it has a space in it: move or clone the tree elsewhere" >&2
  exit 2
fi

jobs/install.sh test
jobs/build.sh tests

echo
echo "Every test and its labels:"
ctest --test-dir build/tests -N -V |
  awk '/^Labels: / {labels = substr($0, 9)} /^ +Test +#/ {printf "  %-36s %s\n", $NF, labels; labels = "-"}'
echo

# One at a time: many tests start several ranks, and some measure time.
exec ctest --test-dir build/tests --output-on-failure --no-tests=error -j1 "${selection[@]}"
