#!/usr/bin/env bash
# Without the trainer the program builds on a machine that has neither MPI nor oneDNN, and still makes budgets.
set -euo pipefail
source_dir=$1 build=$2

fail() { echo "budget_only_test.sh: $*"; exit 1; }

# Debug for its assertions; without its -g, which a quarter of the time went to, as nobody debugs this program.
# Looking for one of the disabled packages would be an error, as the trainer requires them.
rm -rf "$build"
cmake -S "$source_dir" -B "$build" -G Ninja -DGPUMONTH_TRAINER=OFF -DGPUMONTH_CUDA=OFF -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG= \
  -DCMAKE_DISABLE_FIND_PACKAGE_MPI=ON -DCMAKE_DISABLE_FIND_PACKAGE_dnnl=ON -DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON
cmake --build "$build" --target gpumonth -j "$(nproc)"

libraries=$(ldd "$build/gpumonth")
[[ $libraries == *libhdf5* ]] || fail "ldd shows nothing that can be trusted: $libraries"
# (libgomp may come with Ceres, whose linear algebra uses it)
if grep -E 'libmpi|libopen-|libdnnl|libcuda|libnccl' <<<"$libraries"; then
  fail "the program is linked with a library of the trainer"
fi

budget=$("$build/gpumonth" budget "$source_dir/configs/scenarios/sora-2024.toml")
[[ $budget == *4,211* && $budget == *10,528* ]] || fail "the first rung is not 4,211 to 10,528: $budget"
"$build/gpumonth" flops "$source_dir/configs/models/dit-xl-2.toml"
code=0
message=$("$build/gpumonth" train "$source_dir/configs/runs/tiny.toml" 2>&1) || code=$?
[[ $code == 2 && $message == *"unknown command 'train'"* ]] || fail "train ends with code $code: $message"
