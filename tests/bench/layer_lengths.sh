#!/usr/bin/env bash
# Layers as measured: trains one width at three lengths of samples, fits seconds per layer = a T + b T^2 on two of them and
# holds the third against it. docs/measurements has what it printed, docs/method.md, "Layers as measured", the formula.
#
#   tests/bench/layer_lengths.sh BUILD [OUT [STEPS [FRAMES [TRAIN_OPTIONS...]]]]      e.g. build/tests runs/lengths 20 1,4,8
#
# BUILD holds gpumonth. FRAMES: three numbers of latent frames, the last one is held out; 256 tokens a frame. Every step has
# as many tokens: what a step costs once, whatever its tokens (packing weights, writing their gradients), would else be put
# down to the short samples (a fifth of a step of 256 tokens on two cores). A width that
# takes two cores minutes: hidden_size 384, 6 heads, 4 blocks (DiT-S's blocks), bf16. Anything after that goes to `train`,
# so that a GPU measures the width of the scenario:
#   ... build/cuda runs/wide 16 8,16,32 --set model.hidden_size=6144 --set model.num_heads=48 --set model.input_size=64
#       --set model.depth=2 --set batch.global=1 --set run.backend=cuda
# Needs python3 and h5dump. The lengths take turns, three rounds, since machines drift.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:?usage: layer_lengths.sh BUILD [OUT [STEPS [FRAMES [TRAIN_OPTIONS...]]]]}
out=${2:-runs/layer-lengths} steps=${3:-20} frames=${4:-1,4,8}
shift $(($# < 4 ? $# : 4))
rounds=3
longest=$(tr ',' '\n' <<<"$frames" | sort -n | tail -n 1)
mkdir -p "$out"
for round in $(seq "$rounds"); do
  for f in ${frames//,/ }; do
    "$build/gpumonth" train "$root/configs/runs/dit-s-2.toml" --set model.depth=4 --set "model.frames=$f" \
      --set "batch.global=$((longest / f))" --set run.dtype=bf16 --set "run.steps=$steps" --set checkpoint.at_end=false \
      --set "run.directory=$out/f$f-r$round" --set "run.name=f$f-r$round" "$@" >"$out/f$f-r$round.txt"
  done
done
python3 - "$out" "$frames" "$rounds" <<'PY'
import glob, re, statistics, subprocess, sys
out, frames, rounds = sys.argv[1], [int(f) for f in sys.argv[2].split(",")], int(sys.argv[3])

def column(path, name):
    text = subprocess.run(["h5dump", "-y", "-d", f"/steps/{name}", path], check=True, capture_output=True, text=True).stdout
    data = text[text.index("DATA {") + 6:text.index("}", text.index("DATA {"))]
    return [float(x) if not re.search("[A-Za-z]{3}", x) else x.strip() for x in data.replace("\n", " ").split(",")]

def seconds(f):  # median steady step, forward and backward, per sample
    values, tokens = [], 0
    for r in range(1, rounds + 1):
        path = glob.glob(f"{out}/f{f}-r{r}/*.h5")[0]
        forward, backward, samples, all_tokens, phase = (column(path, c) for c in
                                                         ("forward_s", "backward_s", "samples", "tokens", "phase"))
        tokens = all_tokens[-1] / samples[-1]
        values += [(a + b) / n for a, b, n, p in zip(forward, backward, samples, phase) if p == "steady"]
    return tokens, statistics.median(values), len(values)

points = [seconds(f) for f in frames]
(t1, s1, _), (t2, s2, _), (t3, s3, _) = points
b = (s2 / t2 - s1 / t1) / (t2 - t1)
a = s1 / t1 - b * t1
print("| tokens | steps | forward + backward, ms per sample |  |\n|---|---|---|---|")
for (t, s, n), what in zip(points, ("fitted", "fitted", "held out")):
    print(f"| {t:,.0f} | {n} | {1e3 * s:.2f} | {what} |")
predicted = a * t3 + b * t3 * t3
print(f"\na = {1e6 * a:.3f} us, b = {1e9 * b:.4f} ns (all blocks); predicted at {t3:,.0f} tokens {1e3 * predicted:.2f} ms, "
      f"measured {1e3 * s3:.2f} ms: {100 * (predicted / s3 - 1):+.1f} %")
PY
