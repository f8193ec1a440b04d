#!/usr/bin/env bash
# What a machine with a GPU that is lent for minutes should say, the most valuable first. Every result is on disk as it comes,
# and nothing that is done is done again: a second visit goes on where the first one ended. docs/gpu-visit.md has the calls.
#
#   jobs/check_gpu.sh [-o OUT] [-t SECONDS] visit         finds the bundle or build and calls this
#   jobs/visit_gpu.sh [-a ARCHIVE] -o OUT -t SECONDS -d DIR
#
#   -o OUT      OUT/visit/ITEM.log, ITEM.status and what the item wrote; OUT/visit.md is the table so far
#   -a ARCHIVE  a .tar.gz of OUT, made anew after every item, without PyTorch's compiled code
#   -t SECONDS  of this visit. An item starts only where the time that it is expected to take is left
#   -d DIR      build directory or unpacked bundle
#
# Items with the seconds expected on an H200, and after how many they are cut off, are in the table `items` below.
# An item that ended, even with a failure or at its own limit, is done: remove OUT/visit/ITEM.status to have it again. One
# that the end of the visit cut off is not. Exit status: 0 all items are done, 1 one of them failed, 75 some are left.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# name, seconds expected, limit, what it is
readonly items=(
  'doctor       15  40 what the machine is, GEMM and copy rates, power and clock'
  'xl2-256      25  60 DiT-XL/2, 256 px, batch 128'
  'quick        50 120 tests labelled gpu'
  'wide-f32     30  60 two blocks of the 20 B width, 32,768 tokens'
  'clip         90 160 one block of the 20 B width, 184,320 tokens: a whole clip of one minute'
  'clip-share   30  90 four such blocks as one of 8 ranks that share the clip computes them'
  'xl2-512      25  60 DiT-XL/2, 512 px, batch 32'
  'b2-256       20  45 DiT-B/2, 256 px, batch 256'
  's2-256       15  45 DiT-S/2, 256 px, batch 256'
  'wide-f8      15  45 two blocks of the 20 B width, 8,192 tokens'
  'trace        25  60 every kernel of a step of xl2-256, and the table'
  'pytorch     150 200 one pair with PyTorch on xl2-256'
  'comm_nccl    20  90 tests labelled gpu-mpi: 1, 2 and 4 NCCL ranks on one GPU, a replay'
  'ranks        80 150 1, 2 and 4 NCCL ranks on one GPU against CPU ranks, fp32 and bf16'
  'replay       40  90 trainings and their replays in turn'
  'wide-f128    90 150 two blocks of the 20 B width, 131,072 tokens: a third length'
)

fail() {
  echo "visit_gpu.sh: $*" >&2
  exit 2
}

out='' seconds=360 dir='' archive=''
while getopts a:o:t:d: option; do
  case $option in
    a) archive=$OPTARG ;;
    o) out=$OPTARG ;;
    t) seconds=$OPTARG ;;
    d) dir=$OPTARG ;;
    *) fail "usage: jobs/visit_gpu.sh [-a ARCHIVE] -o OUT -t SECONDS -d DIR" ;;
  esac
done
[[ $out && -d $dir ]] || fail "-o OUT and -d DIR are needed: jobs/check_gpu.sh visit finds them"
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "-t $seconds: give a number of seconds"
[[ -z $archive || $archive == *.tar.gz ]] || fail "-a $archive: must end in .tar.gz"
mkdir -p "$out/visit" || fail "$out cannot be written"
out=$(cd "$out" && pwd) results=$out/visit
gpumonth=$dir/gpumonth
if [[ -x $dir/run-tests.sh ]]; then gpumonth=$dir/bin/gpumonth; fi
emulated=${GPUMONTH_EMULATED_GPUS:-}
slowness=${GPUMONTH_VISIT_LIMIT_PERCENT:-100}  # of the limits, for tests of this script
SECONDS=0

left() { echo $((seconds > SECONDS ? seconds - SECONDS : 0)); }

# train_case NAME MODEL BATCH STEPS [--set ...]: its run log goes to $results/NAME/run.h5
train_case() {
  local name=$1 model=$2 batch=$3 steps=$4 warmup=10
  shift 4
  if ((steps < 8)); then warmup=1; fi
  if [[ $emulated ]]; then model=dit-tiny batch=2 steps=4 warmup=1 && set --; fi
  rm -rf "${results:?}/$name"
  "$gpumonth" train "$root/configs/runs/tiny.toml" --set "model.from=$root/configs/models/$model.toml" --set "run.name=$name" \
    --set "run.directory=$results/$name" --set "run.steps=$((warmup + steps))" --set "log.steady_after=$warmup" \
    --set "batch.global=$batch" --set run.dtype=bf16 --set run.backend=cuda --set checkpoint.at_end=false \
    --set optimizer.learning_rate=1e-4 --set comm.bucket_mib=64 --set log.measure_gemm_peak=false "$@"
}
wide() { train_case "$1" dit-20b 1 "$4" --set "model.depth=$2" --set "model.frames=$3" "${@:5}"; }  # NAME DEPTH FRAMES STEPS [--set ...]

# checked SECONDS [-k] STEP: ends a little before the item is cut off, as its own children would outlive it then.
checked() {
  local most_s=$(($1 > 8 ? $1 - 5 : $1))
  shift
  "$root/jobs/check_gpu.sh" -o "$out" -t "$most_s" -d "$dir" "$@"
}

item_doctor() { checked "$1" doctor; }
item_quick() { checked "$1" quick; }
item_xl2-256() { train_case xl2-256 dit-xl-2 128 40; }
item_xl2-512() { train_case xl2-512 dit-xl-2-512 32 40; }
item_b2-256() { train_case b2-256 dit-b-2 256 100; }
item_s2-256() { train_case s2-256 dit-s-2 256 200; }
item_wide-f8() { wide wide-f8 2 8 20; }
item_wide-f32() { wide wide-f32 2 32 12; }
# A step of one block takes some 6 s; the third is the first that is a graph.
item_clip() { wide clip 1 180 4; }
item_clip-share() { wide clip-share 4 180 8 --set run.sequence_parallel_emulated=8 --set run.recompute=linear; }
item_wide-f128() { wide wide-f128 2 128 4; }  # two at the clip's length take 140.1 GiB, and an H200 has 139
item_comm_nccl() { checked "$1" quick-mpi; }
item_ranks() { checked "$1" -k ranks; }
item_replay() { checked "$1" -k replay; }
item_pytorch() {
  "$root/jobs/bench_gpu.sh" "$gpumonth" "$results/pytorch" --cases xl2-256 --pairs 1 --pytorch-mode masters-whole-cudnn \
    --products aten --budget-s "$1"
}

# The folder of CUPTI, which comes with the CUDA Toolkit or as a wheel beside PyTorch.
cupti_folder() {
  local file
  for file in /usr/local/cuda*/{lib64,extras/CUPTI/lib64,targets/x86_64-linux/lib}/libcupti.so.1[0-9] \
    "${VIRTUAL_ENV:-/opt/torch/.venv}"/lib/python3*/site-packages/nvidia/{cuda_cupti,cu1?}/lib/libcupti.so.1[0-9] \
    "$(python3 -c 'import sys; print(sys.prefix)' 2>/dev/null)"/lib/python3*/{site,dist}-packages/nvidia/{cuda_cupti,cu1?}/lib/libcupti.so.1[0-9]; do
    if [[ -e $file ]]; then dirname "$file" && return; fi
  done
  return 1
}
item_trace() {
  local tracer folder
  for tracer in "$dir/lib/libgputrace.so" "$dir/tests/bench/libgputrace.so"; do [[ ! -e $tracer ]] || break; done
  [[ -e $tracer ]] || { echo "skipped: $dir has no libgputrace.so: CUPTI's headers were missing where it was built" && return 77; }
  folder=$(cupti_folder) || { echo "skipped: libcupti.so was not found: it comes with the CUDA Toolkit" && return 77; }
  export CUDA_INJECTION64_PATH=$tracer GPUTRACE_OUT=$results/trace.csv
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder train_case trace dit-xl-2 128 14 || return
  unset CUDA_INJECTION64_PATH
  python3 "$root/tests/bench/gpu_trace_table.py" "$results/trace.csv" 5 >"$results/trace.txt" || return
  cat "$results/trace.txt" && gzip -f "$results/trace.csv"
}

# memory_watch FILE: MiB in use on the GPU, four times a second, until it is killed
memory_watch() { exec nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 250 -i "${CUDA_VISIBLE_DEVICES:-0}" >"$1" 2>/dev/null; }

# run_item NAME LIMIT: in a process of its own, so that it can be ended with all its children: killed, as a training that is
# asked to stop writes a checkpoint of gigabytes first. The state goes to NAME.status: "STATUS SECONDS"
run_item() {
  local name=$1 own_s=$(($2 * slowness / 100)) given_s began=$SECONDS status=0 watch=''
  given_s=$(($(left) < own_s ? $(left) : own_s))
  if type -P nvidia-smi >/dev/null; then memory_watch "$results/$name.memory" & watch=$!; fi
  timeout -s KILL "$given_s" bash "${BASH_SOURCE[0]}" -o "$out" -t "$given_s" -d "$dir" -- "$name" </dev/null >"$results/$name.log" 2>&1 ||
    status=$?
  if [[ $watch ]]; then kill "$watch" 2>/dev/null; wait "$watch" 2>/dev/null; fi
  if [[ $status == 75 ]] || { [[ $status == 124 || $status == 137 ]] && ((given_s < own_s)); }; then return 75; fi
  echo "$status $((SECONDS - began))" >"$results/$name.status"
  return $status
}

state_text() {
  case $1 in
    0) echo 'done' ;;
    77) echo "skipped: $(sed -n 's/^skipped: //p' "$results/$2.log" 2>/dev/null | tail -n 1)" ;;
    124 | 137) echo "not over at its limit; last words: $(tail -n 1 "$results/$2.log" | cut -c 1-120)" ;;
    *) echo "FAILED with $1: $(tail -n 1 "$results/$2.log" | cut -c 1-160)" ;;
  esac
}

# The closing lines of `train` as cells. Unknown ones are empty.
figures() {
  local log=$results/$1.log peak=''
  if [[ -s $results/$1.memory ]]; then peak=$(sort -n "$results/$1.memory" | tail -n 1); fi
  awk -v peak="$peak" '
    / steady steps, mean / {step = $5; for (i = NF; i > 1; --i) if ($i ~ /^samples\/s/) rate = $(i - 1)}
    /^rank 0.s GPU: / {
      for (i = 2; i <= NF; ++i) {
        if ($i == "J" && $(i + 2) ~ /^step/) joule = $(i - 1)
        if ($i ~ /^W;?$/) power = $(i - 1)
        if ($i ~ /^MHz;?$/) clock = $(i - 1)
        if ($i == "MFU") mfu = $(i + 1)
        if ($i == "%" && $(i + 1) == "of" && $(i + 3) == "peak") held = $(i - 1)
      }
      limits = /power-limited/ ? "power" : /by heat/ ? "heat" : ""
    }
    END {printf "%s | %s | %s | %s | %s | %s | %s | %s | %s", step, rate, mfu, held, clock, power, joule, limits,
                peak == "" ? "" : sprintf("%.1f", peak / 1024)}' "$log"
}

table() {
  local entry name state words
  echo "| item | seconds | state | step ms | samples/s | MFU, % | at its clock, % | MHz | W | J a step | held down by | peak GiB |"
  echo "|---|---|---|---|---|---|---|---|---|---|---|---|"
  for entry in "${items[@]}"; do
    read -r name _ <<<"$entry"
    state=''
    if [[ -e $results/$name.status ]]; then
      read -ra words <"$results/$name.status"
      state="${words[1]} | $(state_text "${words[0]}" "$name")"
    else
      state=' | left for another visit'
    fi
    echo "| $name | $state | $([[ -e $results/$name.log ]] && figures "$name" || echo ' | | | | | | | | ') |"
  done
}

keep_results() {
  table >"$out/visit.md.part" && mv "$out/visit.md.part" "$out/visit.md"
  [[ $archive ]] || return 0
  tar -C "$out" --exclude=inductor-cache --exclude='checkpoint*' -czf "$archive.part" . && mv "$archive.part" "$archive"
}

visit() {
  local entry name expected limit status any_failed=0 any_left=0 words
  for entry in "${items[@]}"; do
    read -r name expected limit _ <<<"$entry"
    if [[ -e $results/$name.status ]]; then
      read -ra words <"$results/$name.status"
      if [[ ${words[0]} != 0 && ${words[0]} != 77 ]]; then any_failed=1; fi
      continue
    fi
    if (($(left) < (expected * slowness + 99) / 100)); then
      echo "$name: $(left) s are left, it takes some $expected: another visit" && any_left=1
      continue
    fi
    run_item "$name" "$limit"
    status=$?
    case $status in
      75) echo "$name: cut off by the end of the visit" && any_left=1 ;;
      *)
        read -ra words <"$results/$name.status"
        echo "$name: ${words[1]} s, $(state_text "$status" "$name")"
        if [[ $status != 0 && $status != 77 ]]; then any_failed=1; fi
        ;;
    esac
    keep_results
  done
  keep_results
  printf '\n%s\n' "$(<"$out/visit.md")"
  if ((any_failed)); then return 1; fi
  if ((any_left)); then return 75; fi
}

shift $((OPTIND - 1))
if [[ $# == 1 ]]; then  # run_item's
  "item_$1" "$seconds"
else
  visit
fi
