#!/usr/bin/env bash
# Samples in 1, 2 and 4 steps: trains a teacher, distils a consistency model from it, samples both, and prints what quality and
# cost came out.
#
#   jobs/consistency.sh [options]
#     --config FILE            run of teacher and student; default: configs/runs/few-steps.toml
#     --teacher CKPT           a diffusion checkpoint of that model instead of training one
#     --teacher-steps 8000     optimizer steps of the teacher
#     --steps 4000             optimizer steps of the student
#     --guidance 1.5           of the teacher, distilled in
#     --count 500              samples of every kind
#     --ranks 1                of every run
#     --out runs/consistency   folder; an interrupted job goes on there, what is done is not repeated
#     --gpumonth FILE          the program; default: the newest of build/*/gpumonth
#     --launch auto            auto | mpirun | srun
#
# Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: the training in progress writes a checkpoint, and the job ends with code 3; the
# same command goes on. docs/sampling.md, "Few steps", has the table and how long it took.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/mpi_env.sh
source jobs/training.sh
source jobs/sweeping.sh

config=configs/runs/few-steps.toml teacher='' teacher_steps=8000 steps=4000 guidance=1.5 count=500 ranks=1
out=runs/consistency gpumonth='' launch=${launch:-auto}
read_options "config teacher teacher-steps steps guidance count ranks out gpumonth launch" "$@"
((${#given[@]} == 0)) || fail "unknown argument ${given[0]}; see $0 --help"
[[ -r $config ]] || fail "$config cannot be read"
[[ -z $teacher || -r $teacher ]] || fail "$teacher cannot be read"
require_whole "$teacher_steps" "$steps" "$count" "$ranks"
set_defaults
keep_plan "$(printf '%s\n' "$(sha256sum <"$config")" "$teacher" "$teacher_steps" "$steps" "$guidance" "$count" "$ranks")" \
  "teacher, student and samples of other settings"
stop_on_signals
declare -i finished=0

# train NAME STEPS ARGUMENTS...: one run, taken to its end
train() {
  local name=$1 steps=$2 code=0
  shift 2
  [[ -n $stopped ]] || train_to_end "$gpumonth" "$ranks" "$out/$name" "$config" --set "run.steps=$steps" \
    --set "run.name=$name" --set checkpoint.every_steps=500 "$@" || code=$?
  end_where_stopped "$code" "$finished" 2 trainings
  ((code == 0)) || fail "$name failed with code $code; all it said: $out/$name/output"
  finished+=1
  echo "$name: $(grep '^done: ' "$out/$name/output")"
}

# draw NAME CHECKPOINT OPTIONS...: its samples, once
draw() {
  local name=$1 checkpoint=$2
  shift 2
  [[ ! -e $out/$name/finished ]] || return 0
  rm -rf "${out:?}/$name"
  mkdir -p "$out/$name"
  set_launcher "$ranks"
  "${launcher[@]}" "$gpumonth" sample "$checkpoint" -o "$out/$name" --count "$count" --batch 50 "$@" \
    >"$out/$name/output" 2>&1 </dev/null || fail "sampling $name failed; all it said: $out/$name/output"
  : >"$out/$name/finished"
}

if [[ -z $teacher ]]; then
  train teacher "$teacher_steps"
  teacher=$(newest_checkpoint "$out/teacher")
fi
train student "$steps" --set objective.kind=consistency --set "objective.teacher=$teacher" \
  --set "objective.guidance=$guidance" --set optimizer.learning_rate=5e-4
student=$(newest_checkpoint "$out/student")

kinds=()
for n in 1 2 4; do
  draw "student-$n" "$student" --sampler consistency --steps "$n"
  kinds+=("student-$n")
done
for n in 2 4 8 50; do
  draw "ddim-$n" "$teacher" --sampler ddim --steps "$n" --guidance "$guidance"
  kinds+=("ddim-$n")
done
for n in 50 250; do
  draw "ddpm-$n" "$teacher" --sampler ddpm --steps "$n" --guidance "$guidance"
  kinds+=("ddpm-$n")
done

echo
echo "what a sample cost, a denoising step:"
for kind in "${kinds[@]}"; do echo "  $kind: $(grep -m1 ' a denoising step of ' "$out/$kind/output")"; done
echo
files=()
for kind in "${kinds[@]}"; do files+=("$out/$kind/samples.h5"); done
"$gpumonth" evaluate --samples "${files[@]}" -o "$out/quality.json"
