#!/usr/bin/env bash
# Fuzzes one kind of input with libFuzzer and UndefinedBehaviorSanitizer, then gives every input that reached something new
# to the same program with AddressSanitizer, which alone would take several times as long for each execution:
#
#   tests/fuzz/run.sh TARGET EXECUTIONS [FOLDER]
#   tests/fuzz/run.sh run_log 1000000
#
# TARGET: run_config, scenario, curve_csv, run_log, checkpoint, latents. FOLDER, by default build/fuzz/TARGET, keeps what
# was learnt (corpus/) and every input that found something (faults/), each with a .txt that says what. Builds
# build/fuzz-fast and build/fuzz with clang first. A crash or a hang (60 s; 5 s of processor time are a wrong answer) ends
# libFuzzer: it is started again until all executions are done. The last line has the figures; exit 1 where something
# was found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ $# -lt 2 || ! -d tests/fuzz/corpus/${1:-} || ! ${2:-} =~ ^[0-9]+$ ]]; then
  echo "run.sh: usage: tests/fuzz/run.sh TARGET EXECUTIONS [FOLDER]; targets: $(ls tests/fuzz/corpus | xargs)" >&2
  exit 2
fi
target=$1 wanted=$2 folder=${3:-build/fuzz/$1}
mkdir -p "$folder/corpus" "$folder/faults"
# clang 14, Debian 12's own, cannot compile the views of its libstdc++: apt-get install clang-19 libclang-rt-19-dev
compiler=$(compgen -c clang++- | grep -E '^clang\+\+-(1[6-9]|[2-9][0-9])$' | sort -uV | tail -1 || true)
: "${CXX:=${compiler:-clang++}}"
: "${CC:=${CXX/++/}}"
for build in fuzz-fast fuzz; do
  [[ -f build/$build/CMakeCache.txt ]] || CXX=$CXX CC=$CC cmake --preset "$build" -G Ninja >&2
  nice cmake --build "build/$build" --target "fuzz_$target" >/dev/null
done
program_of() { find "build/$1" -name "fuzz_$target" -type f -perm -u+x; }

GPUMONTH_FUZZ_SCRATCH=$(mktemp -d -p /dev/shm gpumonth-fuzz-XXXXXX)
trap 'rm -rf "$GPUMONTH_FUZZ_SCRATCH"' EXIT
export GPUMONTH_FUZZ_SCRATCH GPUMONTH_FUZZ_FAULTS=$folder/faults
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=8
# fuzz PROGRAM EXECUTIONS FOLDER...: one start; counts its executions and gives its exit status
done_so_far=0 starts=0 log=$folder/log
fuzz() {
  local program=$1 runs=$2 status=0 executions
  shift 2
  # -rss_limit_mb: what a laptop can spare; no input here is worth more
  nice "$program" "$@" -runs="$runs" -max_len=8192 -timeout=60 -detect_leaks=0 -rss_limit_mb=2048 -malloc_limit_mb=1024 \
    -artifact_prefix="$folder/faults/" -print_final_stats=1 -verbosity=1 >"$log" 2>&1 || status=$?
  # libFuzzer prints its statistics when it ends by itself; after a crash its last line of progress has the number
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  [[ -n $executions ]] || executions=$(sed -n 's/^#\([0-9]*\)[ \t].*/\1/p' "$log" | tail -1)
  done_so_far=$((done_so_far + ${executions:-0}))
  grep '^FAULT' "$log" >&2 || true
  ((status == 0)) || grep -E -m3 'ERROR|runtime error|SUMMARY' "$log" >&2 || tail -5 "$log" >&2
  return "$status"
}
begin=$(date +%s)
while ((done_so_far < wanted && starts < 100)); do
  starts=$((starts + 1))
  fuzz "$(program_of fuzz-fast)" $((wanted - done_so_far)) "$folder/corpus" "tests/fuzz/corpus/$target" && break
done
fast=$done_so_far
fuzz "$(program_of fuzz)" 0 "$folder/corpus" "tests/fuzz/corpus/$target" || true
took=$(($(date +%s) - begin))

count() { find "$folder/faults" -name "$1" | wc -l; }
crashes=$(($(count 'crash-*') + $(count 'oom-*'))) hangs=$(($(count 'timeout-*') + $(count 'slow-unit-*')))
faults=$(count '*.txt')
echo "$target: $fast executions and $((done_so_far - fast)) with AddressSanitizer in $took s," \
  "$crashes crashes, $hangs hangs, $faults kinds of wrong answers; inputs in $folder/faults"
((crashes + hangs + faults == 0 && fast >= wanted))
