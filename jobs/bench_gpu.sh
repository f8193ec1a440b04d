#!/usr/bin/env bash
# Trains DiTs with gpumonth and with a tuned PyTorch in turn on one GPU and prints samples/s, MFU, the ratio with its range,
# peak memory and power; then times blocks of the 20 B model's width layer by layer. bf16, one GPU, nothing else may run.
#
# Cost on an H200: a pair of xl2-256 some 3 minutes with ATen's products alone, 2 of them torch.compile; the race of four
# modes before the first pair four times that; --products all many minutes more. 80 GB of GPU memory. It may be cut into
# calls: the same command goes on
# where the last one stopped, and ends with 75 while some is left:
#   jobs/bench_gpu.sh build/cuda/gpumonth runs/bench-gpu --budget-s 540
#   jobs/bench_gpu.sh bin/gpumonth runs/bench-gpu --cases xl2-256 --pairs 5              (from an unpacked bundle)
#
# Usage: jobs/bench_gpu.sh [GPUMONTH [OUT_FOLDER [options of tests/bench/compare_pytorch_gpu.py]]]
# OUT_FOLDER gets results.json, table.md (for docs/measurements/) and runs/ with every run log and output.
# It needs a Python 3.10+ with PyTorch 2.5+ for CUDA and numpy: $GPUMONTH_PYTHON, else $GPUMONTH_VENV/bin/python
# (default ~/.cache/gpumonth-venv), else python3. Neither h5py nor Open MPI nor HDF5 is needed. torch.compile needs a C
# compiler (cc) for Triton's launchers.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
  echo "bench_gpu.sh: $*" >&2
  exit 2
}

default=$root/build/cuda/gpumonth
if [[ -x $root/run-tests.sh ]]; then default=$root/bin/gpumonth; fi  # an unpacked bundle
gpumonth=${1:-$default}
out=${2:-runs/bench-gpu}
shift $(($# < 2 ? $# : 2))
python=${GPUMONTH_PYTHON:-${GPUMONTH_VENV:-$HOME/.cache/gpumonth-venv}/bin/python}
if [[ -z ${GPUMONTH_PYTHON:-} && ! -x $python ]]; then python=$(type -P python3) || fail "python3 is missing"; fi

[[ -x $gpumonth ]] || fail "$gpumonth is not a program: build it with cmake --preset cuda -G Ninja && cmake --build build/cuda"
"$python" -c 'import torch, numpy' 2>/dev/null ||
  fail "$python lacks torch or numpy: set GPUMONTH_PYTHON to a Python that has them, e.g. pip install torch numpy"
if [[ " $* " != *" --device cpu "* ]]; then
  "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
    fail "the PyTorch of $python sees no GPU: is the driver there (nvidia-smi), and is it a CUDA build of PyTorch?"
fi

export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$root/tests/bench/compare_pytorch_gpu.py" --gpumonth "$gpumonth" --out "$out" "$@"
