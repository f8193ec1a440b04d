#!/usr/bin/env bash
# Everything that can only be checked on a machine with an NVIDIA GPU, from a build directory or from an unpacked bundle.
#
#   jobs/check_gpu.sh [-k] [-o OUT] [-t SECONDS] [-d DIR] [STEP...]
#
#   visit       what a machine that is lent for minutes should say, the most valuable first: jobs/visit_gpu.sh (360 s)
#   quick       the tests labelled gpu one by one, a minute each; what passed is not run again
#   quick-mpi   the same with those labelled gpu-mpi: NCCL's ranks
#
# and, all of them where no STEP is named:
#   doctor      what gpumonth says of the machine and measures on it
#   tests       the tests labelled gpu and gpu-mpi
#   memcheck    compute-sanitizer's memcheck on the tests labelled gpu (ops and step); racecheck the same with racecheck
#   racecheck
#   ranks       2 and 4 NCCL ranks on one GPU against as many MPI ranks on the CPU and against one GPU rank with the whole
#               batch: loss and gradient norm of each of 20 steps within the tolerances at `tolerance` below; the same with
#               2 and 4 NCCL ranks that share each sample (run.sequence_parallel)
#   exact       2 NCCL ranks with run.deterministic: the same bits again, with a sharded optimizer, with recompute, and resumed
#   replay      training and its replay over NCCL in turn, on one GPU and on two where there are two: the same bytes in every
#               bucket, and the median step within 5 %
#   bench       jobs/bench_gpu.sh
#
#   -k          keeps the trainings and replays of `ranks`, `exact` and `replay` that an earlier call ended
#   -o OUT      folder for everything that the steps print and write; default runs/check-gpu. Going on in the same
#               folder leaves out the sanitized tests and benchmark cases that are done
#   -t SECONDS  for this call; default 36000, of visit 360. What does not fit is unfinished: the same command goes on
#   -d DIR      build directory or unpacked bundle; default this bundle, else build/cuda
#
# In calls of ten minutes:  for each of  "doctor tests"  memcheck  racecheck  "ranks exact"  replay  bench:  jobs/check_gpu.sh -t 570 STEP
# Exit status: 0 where every step passed, 1 where one failed, 75 where something is unfinished, 2 for a mistake in the call.
# A step that cannot run here is reported as skipped with the reason, and is no failure.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
  echo "check_gpu.sh: $*" >&2
  exit 2
}

readonly all_steps=(doctor tests memcheck racecheck ranks exact replay bench)
readonly other_steps=(visit quick quick-mpi) visit_s=360 longest_test_s=60
out=runs/check-gpu seconds='' dir=$root/build/cuda keep=''
if [[ -x $root/run-tests.sh ]]; then dir=$root; fi
while getopts ko:t:d: option; do
  case $option in
    k) keep=yes ;;
    o) out=$OPTARG ;;
    t) seconds=$OPTARG ;;
    d) dir=$OPTARG ;;
    *) fail "usage: jobs/check_gpu.sh [-k] [-o OUT] [-t SECONDS] [-d DIR] [STEP...], steps: ${other_steps[*]} ${all_steps[*]}" ;;
  esac
done
shift $((OPTIND - 1))
if [[ -z $seconds ]]; then
  seconds=36000
  if [[ $* == visit ]]; then seconds=$visit_s; fi
fi
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "-t $seconds: give a number of seconds"
for step in "$@"; do
  [[ " ${other_steps[*]} ${all_steps[*]} " == *" $step "* ]] ||
    fail "unknown step '$step'; one of: ${other_steps[*]} ${all_steps[*]}"
done
steps=("$@")
if [[ $# == 0 ]]; then steps=("${all_steps[@]}"); fi

dir=$(cd "$dir" 2>/dev/null && pwd) || fail "$dir is no folder: give a build directory or a bundle with -d"
if [[ -x $dir/run-tests.sh ]]; then
  bundle=yes gpumonth=$dir/bin/gpumonth mpirun=$dir/bin/mpirun
else
  bundle='' gpumonth=$dir/gpumonth mpirun=$(type -P mpirun)
  [[ -e $dir/CTestTestfile.cmake ]] || fail "$dir is neither a build directory nor a bundle"
  source "$root/jobs/mpi_env.sh"
fi
[[ -x $gpumonth ]] || fail "$gpumonth is not built"
mkdir -p "$out" || fail "$out cannot be written"
out=$(cd "$out" && pwd)
summary=$out/summary.txt
deadline=$((SECONDS + seconds))

left() { echo $((deadline > SECONDS ? deadline - SECONDS : 0)); }
# limited COMMAND...: until the time of this call is over; 75 then
limited() {
  local status=0
  (($(left) > 5)) || return 75
  timeout -k 10 "$(left)" "$@" </dev/null || status=$?
  if [[ $status == 124 || $status == 137 ]] && (($(left) == 0)); then return 75; fi
  return $status
}
# First line of the reason goes to the summary.
why=''
skip() { why=$* && return 77; }

h5dump_program() { if [[ -x $dir/bin/h5dump ]]; then echo "$dir/bin/h5dump"; else type -P h5dump; fi; }

sanitizer() {
  local path
  for path in "$(type -P compute-sanitizer)" "${CUDA_HOME:-/usr/local/cuda}"/bin/compute-sanitizer \
    /usr/local/cuda*/bin/compute-sanitizer "${CUDA_HOME:-/usr/local/cuda}"/compute-sanitizer/compute-sanitizer; do
    if [[ -x $path ]]; then echo "$path" && return; fi
  done
  return 1
}

# Lines "name|command" of the tests with a label that matches the regular expression, but for those labelled long.
gpu_tests() {
  if [[ $bundle ]]; then
    awk -F'|' -v wanted="^($1)\$" '("," $3 ",") ~ /,long,/ {next}
      {n = split($3, labels, ","); for (i = 1; i <= n; ++i) if (labels[i] ~ wanted) {print $1 "|" $6; next}}' \
      "$dir/tests/manifest"
  else
    ctest --test-dir "$dir" -L "^($1)\$" -LE '^long$' --show-only=json-v1 | python3 -c '
import json, sys
for test in json.load(sys.stdin)["tests"]:
    if "command" in test:
        print(test["name"] + "|" + " ".join(test["command"]))'
  fi
}

doctor() {
  limited "$gpumonth" doctor
  local status=$?
  limited "$gpumonth" doctor --quick --json >"$out/doctor.json"
  if [[ $status == 0 ]] && ! grep -q compute_capability "$out/doctor.json"; then
    why="gpumonth sees no GPU" && status=1
  fi
  if type -P nvidia-smi >/dev/null; then nvidia-smi; fi
  return $status
}

tests() {
  if [[ $bundle ]]; then
    (cd "$dir" && limited ./run-tests.sh gpu gpu-mpi)
  else
    limited ctest --test-dir "$dir" -L '^gpu(-mpi)?$' --output-on-failure --no-tests=error -j1
  fi
}

# each_test FOLDER SECONDS [WRAPPER...]: each test "name|command" of standard input, by the wrapper, for so long at most;
# what is done stays done.
each_test() {
  local folder=$1 most_s=$2 name command status count=0 failed=() skipped=() words
  shift 2
  mkdir -p "$out/$folder"
  if [[ $bundle ]]; then
    local root=$dir
    # shellcheck disable=SC1091
    source "$dir/libexec/environment.sh" && find_cuda
  fi
  while IFS='|' read -r name command <&3; do
    count=$((count + 1))
    if [[ -e $out/$folder/$name.done ]]; then continue; fi
    read -ra words <<<"$command"
    local began=$SECONDS log=$out/$folder/$name.log
    status=0
    (cd "$dir" && GPUMONTH_PROGRAM=cuda limited timeout -k 5 "$most_s" "$@" "${words[@]}") >"$log" 2>&1 || status=$?
    echo "$folder $name: exit status $status, $((SECONDS - began)) s"
    case $status in
      0) touch "$out/$folder/$name.done" ;;
      75) return 75 ;;
      77) skipped+=("$name") ;;
      124 | 137) failed+=("$name") && echo "$name was not over after $most_s s; its last words:" && tail -n 3 "$log" ;;
      *) failed+=("$name") && grep -m 20 -E '=========|FAILED|error' "$log" ;;
    esac
  done 3<&0
  ((count > 0)) || { skip "no such tests in $dir: it was built without CUDA"; return; }
  if [[ ${#failed[@]} != 0 ]]; then why="${failed[*]}" && return 1; fi
  if [[ ${#skipped[@]} != 0 ]]; then skip "${skipped[*]}: $(grep -h -m 1 skipped "$out/$folder/${skipped[0]}.log")"; fi
}

# sanitized TOOL: each gpu test under it, but for those that time something.
sanitized() {
  local tool=$1 program
  program=$(sanitizer) || { skip "compute-sanitizer was not found: it comes with the CUDA Toolkit"; return; }
  each_test "$tool" "$seconds" "$program" --tool "$tool" --error-exitcode 9 --target-processes all \
    < <(gpu_tests gpu | grep -v rate)
}
memcheck() { sanitized memcheck; }
racecheck() { sanitized racecheck; }
quick() { each_test quick "$longest_test_s" < <(gpu_tests gpu); }
quick-mpi() { each_test quick "$longest_test_s" < <(gpu_tests gpu-mpi); }
visit() { "$root/jobs/visit_gpu.sh" -o "$out" -t "$(left)" -d "$dir"; }

# Allowed relative difference of a step's loss or grad_norm. For scale, on CPU ranks with this run: a learning rate wrong by
# 10 % changes the loss by 17 % and the norm by 94 %; bf16 instead of fp32 by 0.7 % and 5 %; 4 ranks instead of one by
# 3e-8 and 4e-7 in fp32, by 0.03 % and 0.4 % in bf16.
declare -A tolerance=(
  [cpu-gpu-fp32-loss]=1e-3 [cpu-gpu-fp32-grad_norm]=1e-2 [cpu-gpu-bf16-loss]=2e-2 [cpu-gpu-bf16-grad_norm]=1.5e-1
  [ranks-fp32-loss]=1e-4 [ranks-fp32-grad_norm]=1e-3 [ranks-bf16-loss]=5e-3 [ranks-bf16-grad_norm]=5e-2)

# column FILE DATASET: one value a line, with all its digits
column() {
  "$(h5dump_program)" -y -w 1 -m %.17g -d "$2" "$1" |
    awk '/DATA \{/ {++data; next} data == 1 && /\}/ {++data} data == 1 {gsub(/[ ,]/, ""); print}'  # attributes follow
}

# trained FOLDER NAME STEPS DTYPE BACKEND RANKS [OPTION...]: trains; losses and norms of the STEPS steps in its log go to
# FOLDER/NAME.{loss,grad_norm}
trained() {
  local folder=$1 name=$2 steps=$3 dtype=$4 backend=$5 ranks=$6 launch=() transport=auto
  shift 6
  if [[ $keep && $(cat "$folder/$name.loss" "$folder/$name.grad_norm" 2>/dev/null | wc -l) == $((2 * steps)) ]]; then return; fi
  if ((ranks > 1)); then
    launch=("$mpirun" --bind-to none --oversubscribe -n "$ranks")
    transport=mpi
    if [[ $backend == cuda ]]; then transport=nccl; fi
  fi
  mkdir -p "$folder" && rm -rf "${folder:?}/$name"
  limited "${launch[@]}" "$gpumonth" train "$root/configs/runs/tiny.toml" --set "run.directory=$folder/$name" \
    --set "run.dtype=$dtype" --set "run.backend=$backend" --set "comm.transport=$transport" \
    --set comm.allow_shared_gpu=true --set comm.watchdog_s=60 --set optimizer.learning_rate=1e-3 \
    --set optimizer.warmup_steps=0 --set run.threads=1 --set checkpoint.at_end=false --set log.measure_gemm_peak=false \
    "$@" >"$folder/$name.log" 2>&1 || {
    local status=$?
    tail -n 5 "$folder/$name.log"
    return $status
  }
  local what
  for what in loss grad_norm; do
    column "$folder/$name"/run*.h5 /steps/$what >"$folder/$name.$what"
    [[ $(wc -l <"$folder/$name.$what") == "$steps" ]] || { echo "$name: its log does not hold $steps steps" && return 1; }
  done
}

# compared A B KIND-DTYPE: largest relative difference of two runs
compared() {
  local what bad=0
  for what in loss grad_norm; do
    paste "$out/ranks/$1.$what" "$out/ranks/$2.$what" | awk -v a="$1" -v b="$2" -v what=$what -v limit="${tolerance[$3-$what]}" '
      {d = ($1 - $2) / $1; if (d < 0) d = -d; if (NR == 1 || !(d <= worst)) {worst = d; step = NR}}
      END {good = NR == 20 && worst <= limit && worst == worst
           printf "%-12s against %-12s %-9s largest relative difference %.2e at step %d, allowed %.1e: %s\n",
                  a, b, what, worst, step, limit, good ? "ok" : "FAILED"
           exit !good}' || bad=1
  done
  return $bad
}

# For trained() and compared()
require_programs() {
  if [[ ! -x $mpirun ]]; then skip "mpirun is missing: apt-get install openmpi-bin"; return; fi
  if [[ -z $(h5dump_program) ]]; then skip "h5dump is missing: apt-get install hdf5-tools"; return; fi
}

ranks() {
  local dtype count run bad=0
  require_programs || return
  for dtype in fp32 bf16; do
    for run in "cpu 1" "cuda 1" "cpu 2" "cuda 2" "cpu 4" "cuda 4"; do
      # shellcheck disable=SC2086
      trained "$out/ranks" "$dtype-${run/ /-}" 20 $dtype $run --set run.steps=20 || { local status=$?; why="$dtype $run did not train, see $out/ranks" && return $status; }
    done
    for count in 2 4; do
      trained "$out/ranks" "$dtype-shared-$count" 20 $dtype cuda $count --set run.steps=20 \
        --set run.sequence_parallel=$count || { local status=$?; why="$dtype shared $count did not train, see $out/ranks" && return $status; }
    done
    compared $dtype-cpu-1 $dtype-cuda-1 cpu-gpu-$dtype || bad=1
    for count in 2 4; do
      compared $dtype-cuda-1 $dtype-shared-$count ranks-$dtype || bad=1
      compared $dtype-cpu-$count $dtype-cuda-$count cpu-gpu-$dtype || bad=1
      compared $dtype-cuda-1 $dtype-cuda-$count ranks-$dtype || bad=1
    done
  done
  if ((bad)); then why="training differs, see $out/ranks.log"; fi
  return $bad
}

# The resumed run has steps 5 .. 8 in its log, the others 1 .. 8. A sharded optimizer adds the squares of the gradients in
# another order, so its norm may differ in the last digits; parameters, and with them the losses, do not. Full sharding computes
# modulations block by block, so it is compared with itself.
exact() {
  local folder=$out/exact dtype name what bad=0
  require_programs || return
  for dtype in fp32 bf16; do
    local options=(--set run.steps=8 --set batch.global=8 --set run.deterministic=true --set checkpoint.every_steps=4)
    local first="$dtype-first"
    trained "$folder" "$first" 8 $dtype cuda 2 "${options[@]}" &&
      trained "$folder" "$dtype-again" 8 $dtype cuda 2 "${options[@]}" &&
      trained "$folder" "$dtype-sharded" 8 $dtype cuda 2 "${options[@]}" --set comm.sharding=optimizer &&
      trained "$folder" "$dtype-recompute" 8 $dtype cuda 2 "${options[@]}" --set run.recompute=true &&
      trained "$folder" "$dtype-resumed" 4 $dtype cuda 2 "${options[@]}" \
        --set "run.resume=$folder/$first/checkpoint-4.h5" &&
      trained "$folder" "$dtype-full" 8 $dtype cuda 2 "${options[@]}" --set comm.sharding=full &&
      trained "$folder" "$dtype-full-resumed" 4 $dtype cuda 2 "${options[@]}" --set comm.sharding=full \
        --set "run.resume=$folder/$dtype-full/checkpoint-4.h5" ||
      { local status=$?; why="$dtype did not train, see $folder" && return $status; }
    for name in again sharded recompute resumed full-resumed; do
      local like=$first
      if [[ $name == full-resumed ]]; then like=$dtype-full; fi
      for what in loss grad_norm; do
        if [[ "$name $what" == 'sharded grad_norm' ]]; then continue; fi
        if tail -n "$(wc -l <"$folder/$dtype-$name.$what")" "$folder/$like.$what" | cmp -s - "$folder/$dtype-$name.$what"; then
          printf '%-9s of %s, %-9s the same bits\n' "$what" $dtype "$name"
        else
          printf '%-9s of %s, %-9s DIFFERS\n' "$what" $dtype "$name"
          bad=1
        fi
      done
    done
  done
  if ((bad)); then why="not the same bits, see $folder"; fi
  return $bad
}

# step_median FILE: of the steps behind three of warm-up, ms
step_median() {
  column "$1" /steps/step_time_s | tail -n +4 | sort -g |
    awk '{t[NR] = 1e3 * $1} END {printf "%.3f", (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2}'
}

# replayed FOLDER SOURCE NAME RANKS: replays 20 steps of FOLDER/SOURCE over NCCL
replayed() {
  local folder=$1 source=$2 name=$3 ranks=$4 launch=()
  if [[ $keep ]] && grep -q 'sleeps ended' "$folder/$name.log" 2>/dev/null; then return; fi
  if ((ranks > 1)); then launch=("$mpirun" --bind-to none --oversubscribe -n "$ranks"); fi
  rm -rf "${folder:?}/$name"
  limited "${launch[@]}" "$gpumonth" replay "$folder/$source/run.h5" --directory "$folder/$name" --steps 20 --watchdog-s 60 \
    --transport nccl --allow-shared-gpu >"$folder/$name.log" 2>&1 || {
    local status=$?
    tail -n 5 "$folder/$name.log"
    return $status
  }
  grep 'sleeps ended' "$folder/$name.log"
}

# On a GPU the model is DiT-B's width and depth, so that a step takes milliseconds; emulated ones take long enough, and their
# times mean nothing, as nothing overlaps.
replay() {
  local folder=$out/replay gpus count pair t r bad=0
  require_programs || return
  local counts=(1) pairs=(1 2 3) options=(--set model.hidden_size=768 --set model.depth=12 --set model.num_heads=12 --set comm.bucket_mib=25)
  if [[ ${GPUMONTH_EMULATED_GPUS:-} ]]; then
    gpus=2 pairs=(1) options=(--set batch.global=4)
  else
    gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
  fi
  if ((gpus > 1)); then counts+=(2); fi
  for count in "${counts[@]}"; do
    for pair in "${pairs[@]}"; do
      local source=trained-$count-$pair name=replayed-$count-$pair
      trained "$folder" "$source" 20 bf16 cuda "$count" --set run.steps=20 "${options[@]}" &&
        replayed "$folder" "$source" "$name" "$count" ||
        { local status=$?; why="$count ranks, pair $pair, did not end, see $folder" && return $status; }
      if ! cmp -s <(column "$folder/$source/run.h5" /buckets/bytes) <(column "$folder/$name/run.h5" /buckets/bytes); then
        echo "$count ranks: buckets of other bytes"
        bad=1
      fi
      t=$(step_median "$folder/$source/run.h5") r=$(step_median "$folder/$name/run.h5")
      awk -v n="$count" -v t="$t" -v r="$r" -v emulated="${GPUMONTH_EMULATED_GPUS:-}" '
        BEGIN {good = emulated || (t > 0 && (r / t - 1) ^ 2 <= 0.05 ^ 2)
               printf "%d ranks: trained %.3f ms a step, replayed %.3f, ratio %.4f: %s\n", n, t, r, r / t, good ? "ok" : "FAILED"
               exit !good}' || bad=1
    done
  done
  if ((bad)); then why="a replay is not its training, see $out/replay.log"; fi
  return $bad
}

bench() {
  (($(left) > 60)) || return 75
  # Its own budget ends it a little earlier than ours, with its results written.
  "$root/jobs/bench_gpu.sh" "$gpumonth" "$out/bench" --budget-s $(($(left) - 20))
}

any_failed=0 any_unfinished=0
if [[ -z ${GPUMONTH_EMULATED_GPUS:-} && ! -e /dev/nvidia0 && ! -e /dev/dxg ]] && ! nvidia-smi -L >/dev/null 2>&1; then
  echo "check_gpu.sh: no NVIDIA GPU on this machine (neither nvidia-smi nor /dev/nvidia0): nothing here can be checked" >&2
  exit 2
fi
printf '%s  %s, GPU: %s\n' "$(date -u +%FT%TZ)" "$dir" "$(nvidia-smi -L 2>/dev/null | head -n 1)" | tee -a "$summary"
for step in "${steps[@]}"; do
  echo "== $step"
  started=$SECONDS why=''
  # In this shell, so that `why` comes back; the output goes to the terminal and to a file.
  "$step" > >(tee "$out/$step.log") 2>&1
  status=$?
  sleep 0.2  # for tee
  case $status in
    0) result=passed ;;
    75) result="unfinished: the ${seconds} s are over, the same command goes on" any_unfinished=1 ;;
    77) result="skipped: $why" ;;
    *) result="FAILED with $status${why:+: $why}, see $out/$step.log" any_failed=1 ;;
  esac
  printf '  %-10s %5d s  %s\n' "$step" $((SECONDS - started)) "$result" | tee -a "$summary"
done
echo "summary: $summary"
if ((any_failed)); then exit 1; fi
if ((any_unfinished)); then exit 75; fi
