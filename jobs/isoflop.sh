#!/usr/bin/env bash
# Measures what compute buys: models of several sizes, each trained with several budgets of compute, and the law
# L(N, D) = E + A / N^a + B / D^b through their losses.
#
#   jobs/isoflop.sh [RUN.toml] [options] [--set a.b=v ...]     RUN.toml: configs/runs/isoflop.toml
#     --sizes "32x2 64x2 ..."  hidden size x depth; heads are 32 wide, or one where that does not divide: take multiples of 32, of
#                              which all have one shape (docs/method.md, "Loss against compute", has what happens otherwise)
#     --budgets "1.2e12 ..."   model FLOP of a run (forward and backward, no recomputation)
#     --rate 8e-3              learning rate at a hidden size of 128; sqrt(128 / width) times as much at others
#     --cool-down 0.2          share of the steps, the last ones, in which the rate falls to 0 (optimizer.schedule = "wsd"); 0: none
#     --seeds "S1 S2 ..."      run.seed of the runs of each point, whose mean loss stands for it; default: one run, of RUN.toml's seed
#     --fewest 40              steps: a size that has fewer within a budget is left out of it. Runs of a few hundred steps lie above the law
#                              of the others (docs/method.md, "On photographs"): 500, and a smaller --batch, forecast better
#     --ranks 1                MPI ranks of a run; --threads of a rank; default: the cores of this machine over the ranks
#     --batch 32               samples per step over all ranks
#     --held-out FILE          latents that validate what `data.path` trains, which need such a file; as `gpumonth evaluate --data`
#     --hold-out largest       what `fit --loss` forecasts from the other runs (see gpumonth fit --help); none: nothing
#     --out runs/isoflop       folder; interrupted, it goes on there, finished runs are not repeated
#     --checkpoint-every 500   steps, to go on from
#     --gpumonth FILE          the program; default: the newest of build/*/gpumonth
#     --launch auto            auto | mpirun | srun
#
# Steps follow from size and budget. Warm-up is a twentieth of them, the moving average of the weights (EMA) has a memory of a
# twentieth too. Runs of one seed have the same samples, noise and timesteps in step s.
# At the end: OUT/quality.json by `gpumonth evaluate` (validation loss of the EMA weights, the same samples and noise for all),
# OUT/law.json and the same as text.
# Under Slurm: sbatch -n RANKS --signal=B:USR1@60 --wrap 'jobs/isoflop.sh --ranks RANKS'. Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 or
# SIGUSR2: the run in progress writes a checkpoint, and this ends with code 3; the same command goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source jobs/mpi_env.sh
source jobs/training.sh
source jobs/sweeping.sh
export LC_ALL=C

sizes='32x2 64x2 96x2 128x2' budgets='1.2e12 2.4e12 4.8e12 9.6e12' rate=8e-3 cool_down=0.2 seeds='' fewest=40 ranks=1 threads='' batch=32 checkpoint_every=500
held_out='' hold_out=largest out=runs/isoflop gpumonth='' launch=${launch:-auto}
read_options "sizes budgets rate cool-down seeds fewest ranks threads batch held-out hold-out out checkpoint-every gpumonth launch set" "$@"
config=$(the_run_file)
config=${config:-configs/runs/isoflop.toml}
[[ -r $config ]] || fail "$config cannot be read"
threads=${threads:-${SLURM_CPUS_PER_TASK:-$(($(nproc) / ranks > 0 ? $(nproc) / ranks : 1))}}
require_whole "$ranks" "$threads" "$batch" "$fewest" "$checkpoint_every"
for number in $rate $budgets; do
  awk -v x="$number" 'BEGIN { exit !(x ~ /^[0-9.]+(e[-+]?[0-9]+)?$/ && x > 0) }' || fail "'$number' is not a positive number"
done
awk -v x="$cool_down" 'BEGIN { exit !(x ~ /^[0-9.]+$/ && x <= 0.9) }' || fail "--cool-down $cool_down is no share between 0 and 0.9"
for size in $sizes; do [[ $size =~ ^[1-9][0-9]*x[1-9][0-9]*$ ]] || fail "'$size' is no size: write width x depth, e.g. 64x4"; done
data=$(awk '/^ *\[/ {in_data = /^ *\[data\]/} in_data && sub(/^ *path *= *["\047]/, "") {sub(/["\047].*/, ""); print}' "$config")
for word in "${extra[@]}"; do [[ $word != data.path=* ]] || data=${word#*=}; done
[[ -z $data || $held_out ]] || fail "data.path is set: name latents that no run trains on, with --held-out FILE, which validate it"
[[ $data || -z $held_out ]] || fail "--held-out is for runs with data.path; what the procedural set holds out is its own"
[[ -z $held_out || -r $held_out ]] || fail "$held_out cannot be read: give --held-out another"
# shellcheck disable=SC2086  # a list
require_whole $seeds
if [[ $seeds && " ${extra[*]}" == *" run.seed="* ]]; then fail "--seeds and --set run.seed name the same: leave one of them out"; fi
set_defaults

model_file=$(sed -n 's/^ *from *= *"\(.*\)".*/\1/p' "$config" | head -n1)
[[ -r $(dirname "$config")/$model_file ]] || fail "$config has no [model] from = \"FILE\": the model's file gives its FLOP"
model_file=$(dirname "$config")/$model_file
settings=()
as_settings() {  # KEY=VALUE...
  local word
  settings=()
  for word; do settings+=(--set "$word"); done
}
model_changes=()
for word in "${extra[@]}"; do [[ $word != model.* ]] || model_changes+=(--set "$word"); done
# One line a run: name, steps, those in which the rate falls, learning rate, warm-up, EMA decay, model keys.
points=()
for budget in $budgets; do
  for size in $sizes; do
    width=${size%x*} depth=${size#*x}
    heads=$((width % 32 == 0 ? width / 32 : 1))
    model="model.hidden_size=$width model.depth=$depth model.num_heads=$heads"
    # shellcheck disable=SC2086  # a list
    as_settings $model
    flops=$("$gpumonth" flops "$model_file" "${settings[@]}" "${model_changes[@]}" --json |
      sed -n 's/^ *"train_flops_per_sample": *\([0-9.e+]*\),*$/\1/p')
    read -r steps falling warmup learning_rate ema < <(awk -v q="$cool_down" -v c="$budget" -v f="$flops" -v b="$batch" -v r="$rate" -v w="$width" 'BEGIN {
      steps = int(c / f / b + 0.5); twentieth = steps / 20
      printf "%d %d %d %.4g %.6f\n", steps, int(q * steps + 0.5), twentieth + 1, r * sqrt(128 / w), (twentieth > 2 ? 1 - 1 / twentieth : 0.5) }')
    if ((steps < fewest)); then
      echo "isoflop.sh: $size has $steps steps of $batch samples in $budget FLOP, fewer than $fewest: left out" >&2
      continue
    fi
    if [[ -z $seeds ]]; then points+=("c$budget-$size $steps $falling $learning_rate $warmup $ema $model"); fi
    for seed in $seeds; do points+=("c$budget-$size-s$seed $steps $falling $learning_rate $warmup $ema $model run.seed=$seed"); done
  done
done
((${#points[@]})) || fail "no run is left: larger budgets or smaller sizes"

plan=$(printf '%s\n' "$(sha256sum <"$config")" "batch $batch" "${points[@]}" "${extra[@]}" ${held_out:+"held out $held_out"})
keep_plan "$plan" "other sizes, budgets or settings"
stop_on_signals

declare -i finished=0 total=${#points[@]}
checkpoints=()
for point in "${points[@]}"; do
  read -r name steps falling learning_rate warmup ema model <<<"$point"
  run=$out/$name
  already=; [[ -e $run/finished ]] && already=', was there'
  # shellcheck disable=SC2086  # a list
  as_settings $model "run.name=$name" "run.threads=$threads" "batch.global=$batch" "run.steps=$steps" \
    "optimizer.learning_rate=$learning_rate" "optimizer.warmup_steps=$warmup" "optimizer.ema_decay=$ema" \
    "checkpoint.every_steps=$checkpoint_every" checkpoint.keep=1
  if ((falling > 0)); then settings+=(--set optimizer.schedule=wsd --set "optimizer.decay_steps=$falling"); fi
  code=0
  [[ -n $stopped ]] || train_to_end "$gpumonth" "$ranks" "$run" "$config" "${settings[@]}" "${extra[@]}" || code=$?
  end_where_stopped "$code" "$finished" "$total" runs
  ((code == 0)) || fail "$name failed with code $code; all it said: $run/output"
  finished+=1
  echo "[$finished/$total] $name$already: $steps steps, $(grep -m1 -o 'loss [0-9.]*' <(tac "$run/output") || echo 'no loss')"
  checkpoints+=("$(newest_checkpoint "$run")")
done

"$gpumonth" evaluate "${checkpoints[@]}" ${held_out:+--data "$held_out"} -o "$out/quality.json.new"
mv "$out/quality.json.new" "$out/quality.json"
fit=(fit --loss "$out/quality.json")
[[ $seeds != *' '* ]] || fit+=(--average-seeds)
[[ $hold_out == none ]] || fit+=(--hold-out "$hold_out")
"$gpumonth" "${fit[@]}" --json >"$out/law.json.new"
mv "$out/law.json.new" "$out/law.json"
"$gpumonth" "${fit[@]}"
