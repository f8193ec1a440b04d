#!/usr/bin/env bash
# Builds the program and its tests with a sanitizer, in a folder of its own, and runs them: any report fails its test.
#
#   tests/sanitizers/run.sh asan [BUILD] [CTEST ARGUMENTS]   the whole CPU suite with AddressSanitizer (leaks too) and
#                                                            UndefinedBehaviorSanitizer
#   tests/sanitizers/run.sh tsan [BUILD] [CTEST ARGUMENTS]   comm's, machine's and the trainer's tests with ThreadSanitizer
#
#   tests/sanitizers/run.sh asan build/asan -R '^(budget|runlog)'
#
# What is suppressed, of Open MPI and libgomp only, stands with its reason in suppressions/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/mpi_env.sh

preset=${1:-}
case $preset in
  # timing: a sanitizer's own cost is measured there. jobs, emulated: build or run other programs than this one
  asan) selection=(-LE '^(long|timing|build|bundle|netlab)$') ;;
  tsan)
    export OMP_WAIT_POLICY=passive  # under it a spinning thread is so slow that the others hardly run
    # shared_cores measures how OpenMP's threads wait
    selection=(-R '^(comm_|machine_|trainer_)' -E '^trainer_shared_cores$' -LE '^(long|timing|netlab)$') ;;
  *) echo "run.sh: usage: tests/sanitizers/run.sh asan|tsan [BUILD] [CTEST ARGUMENTS]" >&2; exit 2 ;;
esac
build=${2:-build/$preset}
shift "$(($# < 2 ? $# : 2))"

suppressions=$PWD/tests/sanitizers/suppressions
# Ranks are processes of mpirun, which hands these on to those of this host.
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export LSAN_OPTIONS=suppressions=$suppressions/leaks.txt:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=$suppressions/threads.txt:print_suppressions=0:halt_on_error=1:history_size=7:second_deadlock_stack=1

cmake --preset "$preset" -G Ninja -B "$build" >/dev/null
cmake --build "$build" -j "$(nproc)"
ctest --test-dir "$build" --output-on-failure --no-tests=error -j1 "${selection[@]}" "$@"
