#!/usr/bin/env bash
# Trains DiT-S/2 and B/4 with gpumonth and with PyTorch in turn on this machine's CPU and prints the ratio of their
# speeds: bf16 and fp32, 1 process x 2 threads, and 2 ranks x 1 thread (MPI against DDP over gloo).
#
# Cost: about 2 hours on 2 cores for everything (8 cases x 5 pairs), 8 GB of memory, nothing else may run. One case:
#   jobs/bench_cpu.sh build/cpu/gpumonth comparison.json --cases s2-bf16-1x2 --pairs 3        (8 minutes)
#
# Usage: jobs/bench_cpu.sh [GPUMONTH [OUT.json [options of tests/bench/compare_pytorch.py]]]
# It needs a Python with PyTorch, found in the virtual environment $GPUMONTH_VENV (default ~/.cache/gpumonth-venv):
#   python3 -m venv ~/.cache/gpumonth-venv
#   ~/.cache/gpumonth-venv/bin/pip install torch numpy h5py     (2.4+; on x86 the CPU wheel is enough:
#                                                 --index-url https://download.pytorch.org/whl/cpu for torch)
# and tcmalloc: sudo apt-get install libtcmalloc-minimal4
set -euo pipefail
cd "$(dirname "$0")/.."

gpumonth=${1:-build/cpu/gpumonth}
out=${2:-runs/bench-cpu-$(date +%Y%m%d-%H%M%S).json}
shift $(($# < 2 ? $# : 2))
venv=${GPUMONTH_VENV:-$HOME/.cache/gpumonth-venv}
python=$venv/bin/python

fail() { echo "bench_cpu.sh: $*" >&2; exit 2; }
[[ -x $gpumonth ]] || fail "$gpumonth is not a program: build it with cmake --preset cpu && cmake --build build/cpu"
[[ -x $python ]] || fail "$python is missing: make the virtual environment as this script's header says"
"$python" -c 'import torch, numpy, h5py' 2>/dev/null ||
  fail "$python lacks torch, numpy or h5py: $venv/bin/pip install torch numpy h5py"
ls /usr/lib/*/libtcmalloc_minimal.so.4 >/dev/null 2>&1 ||
  fail "tcmalloc is missing, PyTorch would be slower than it can be: apt-get install libtcmalloc-minimal4"

export PYTHONDONTWRITEBYTECODE=1
exec "$python" tests/bench/compare_pytorch.py --gpumonth "$gpumonth" --out "$out" "$@"
