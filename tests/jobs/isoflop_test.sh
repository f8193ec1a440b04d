#!/usr/bin/env bash
# jobs/isoflop.sh with a program that only notes what it was asked: steps of equal compute, seeds, one batch, an interrupted
# sweep goes on, and what it is fitted from.
#   isoflop_test.sh SOURCE
set -euo pipefail
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "isoflop_test.sh: $*"; exit 1; }

# A gpumonth of 1 MFLOP a sample and unit of width; it stops once where $work/stop is.
cat >"$work/gpumonth" <<'PROGRAM'
#!/usr/bin/env bash
here=$(dirname "$0")
echo "$*" >>"$here/calls"
value() { grep -o " $1=[^ ]*" <<<"$all" | tail -n1 | cut -d= -f2; }
all=" $*"
case $1 in
  flops) printf '{\n  "params": 7,\n  "train_flops_per_sample": %d,\n  "total": {}\n}\n' $((1000000 * $(value model.hidden_size))) ;;
  train)
    run=$(value run.directory)
    if [[ -e $here/stop ]]; then
      rm "$here/stop"
      : >"$run/run.h5"
      : >"$run/checkpoint-5.h5"
      echo 'stopped by SIGUSR1 after step 5'
      exit 3
    fi
    : >"$run/run.h5"
    : >"$run/checkpoint-$(value run.steps).h5"
    echo "done: $(value run.steps) steps, loss 0.1234; log x" ;;
  evaluate)
    while [[ $1 != -o ]]; do shift; done
    echo '{}' >"$2" ;;
  fit) echo '{"laws": []}' ;;
esac
PROGRAM
chmod +x "$work/gpumonth"
sweep() { jobs/isoflop.sh --gpumonth "$work/gpumonth" --out "$work/out" --launch mpirun --threads 1 "$@" 2>&1; }
calls() { grep "$1" "$work/calls" || true; }

grid=(--sizes "16x2 64x2" --budgets "3.2e10 1.28e11" --batch 32 --cool-down 0)
sweep "${grid[@]}" --rate 1e-3 >"$work/said" || fail "the sweep failed: $(cat "$work/said")"
# steps = C / (FLOP of a sample x 32): 62.5 and 15.6, which is too few, then 250 and 62.5
[[ $(calls '^train' | grep -o 'run.steps=[0-9]*' | xargs) == "run.steps=63 run.steps=250 run.steps=63" ]] ||
  fail "steps: $(calls '^train' | grep -o 'run.steps=[0-9]*' | xargs)"
grep -q '64x2 has 16 steps of 32 samples in 3.2e10 FLOP, fewer than 40: left out' "$work/said" || fail "left out is not said"
calls 'hidden_size=64' | grep -q 'optimizer.learning_rate=0.001414 ' || fail "the rate is not 1e-3 sqrt(128 / 64)"
calls 'hidden_size=16' | grep -q 'optimizer.learning_rate=0.002828 ' || fail "the rate is not 1e-3 sqrt(128 / 16)"
calls 'run.steps=250' | grep -q 'optimizer.warmup_steps=13 .*optimizer.ema_decay=0.920000 ' || fail "warm-up or EMA of 250 steps"
calls '^train' | grep -q 'run.seed' && fail "a run has a seed of its own"
[[ $(calls '^evaluate' | grep -o 'checkpoint-[0-9]*.h5' | xargs) == "checkpoint-63.h5 checkpoint-250.h5 checkpoint-63.h5" ]] ||
  fail "it evaluates $(calls '^evaluate')"
[[ $(calls '^fit' | head -n1) == "fit --loss $work/out/quality.json --hold-out largest --json" ]] || fail "it fits $(calls '^fit' | head -n1)"
[[ -s $work/out/law.json ]] || fail "no law.json"

: >"$work/calls"
sweep "${grid[@]}" --rate 1e-3 --hold-out none >"$work/said" || fail "the second sweep failed: $(cat "$work/said")"
[[ -z $(calls '^train') ]] || fail "a finished run was trained again"
[[ $(calls '^fit' | tail -n1) == "fit --loss $work/out/quality.json" ]] || fail "it fits $(calls '^fit' | tail -n1)"

code=0
sweep "${grid[@]}" --rate 2e-3 >"$work/said" || code=$?
# shellcheck disable=SC2015  # fail ends it
[[ $code == 2 ]] && grep -q 'holds other sizes, budgets or settings' "$work/said" || fail "another plan in the same folder: $code"
rm -r "$work/out"
: >"$work/stop"
code=0
sweep "${grid[@]}" >"$work/said" || code=$?
[[ $code == 3 ]] || fail "a stopped sweep gives $code"
: >"$work/calls"
sweep "${grid[@]}" >"$work/said" || fail "it does not go on"
calls '^train' | head -n1 | grep -q 'run.resume=.*checkpoint-5.h5' || fail "it does not resume: $(calls '^train' | head -n1)"

# A fifth of the steps cools down.
rm -r "$work/out"
: >"$work/calls"
sweep --sizes 16x2 --budgets 1.28e11 --rate 1e-3 >"$work/said" || fail "cooling down failed: $(cat "$work/said")"
[[ $(calls '^train' | grep -oE 'run.steps=[0-9]*|learning_rate=[0-9.]*|schedule=[a-z]*|decay_steps=[0-9]*' | xargs) == \
  "run.steps=250 learning_rate=0.002828 schedule=wsd decay_steps=50" ]] || fail "it cools down by $(calls '^train')"

# Seeds: as many runs of each point, and their mean counts.
rm -r "$work/out"
: >"$work/calls"
sweep --sizes "16x2 32x2" --budgets 1.28e11 --seeds "7 11" >"$work/said" || fail "two seeds failed: $(cat "$work/said")"
[[ $(calls '^train' | grep -oE 'run.name=[^ ]*|run.seed=[0-9]*' | xargs) == "run.seed=7 run.name=c1.28e11-16x2-s7 \
run.seed=11 run.name=c1.28e11-16x2-s11 run.seed=7 run.name=c1.28e11-32x2-s7 run.seed=11 run.name=c1.28e11-32x2-s11" ]] ||
  fail "seeds: $(calls '^train' | grep -oE 'run.name=[^ ]*|run.seed=[0-9]*' | xargs)"
[[ $(calls '^fit' | tail -n1) == *' --average-seeds --hold-out largest' ]] || fail "it fits $(calls '^fit' | tail -n1)"

# One's own latents: what validates them is asked for before anything trains.
rm -r "$work/out"
: >"$work/calls"
sweep --sizes 16x2 --budgets 1.28e11 --set data.path=mine.h5 --held-out "$work/calls" >"$work/said" || fail "own latents failed: $(cat "$work/said")"
calls '^train' | grep -q 'data.path=mine.h5' || fail "it does not train on the latents: $(calls '^train')"
calls '^evaluate' | grep -q -e "--data $work/calls -o" || fail "it evaluates $(calls '^evaluate')"
printf '[data]\npath = "mine.h5"\n[model]\nfrom = "%s/configs/models/dit-tiny.toml"\n' "$PWD" >"$work/mine.toml"

sed "s/\"mine.h5\"/'mine.h5'/" "$work/mine.toml" >"$work/literal.toml"
for bad in "--set data.path=mine.h5" "$work/mine.toml" "$work/literal.toml" "--held-out $work/calls" "--set data.path=mine.h5 --held-out $work/none"; do
  code=0
  # shellcheck disable=SC2086  # words
  sweep $bad --out "$work/bad" >"$work/said" || code=$?
  # shellcheck disable=SC2015  # fail ends it
  [[ $code == 2 ]] && grep -q -e '--held-out' "$work/said" || fail "$bad: code $code, $(cat "$work/said")"
done

for bad in "--sizes 16" "--seeds x" "--budgets 1e12x" "--batch 0" "--cool-down x" "--nothing" "--sizes 64x2 --budgets 1e9"; do
  code=0
  # shellcheck disable=SC2086  # words
  sweep $bad --out "$work/bad" >"$work/said" || code=$?
  [[ $code == 2 && $(grep -c '' "$work/said") -le 5 ]] || fail "$bad: code $code, $(cat "$work/said")"
done
echo "isoflop.sh asks for what it says"
