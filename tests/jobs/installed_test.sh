#!/usr/bin/env bash
# cmake --install puts a program somewhere that works there, and wherever it is moved to, without the source tree.
#
#   installed_test.sh SOURCE BUILD
set -euo pipefail
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "installed_test.sh: $*"; exit 1; }

cmake --install "$build" --prefix "$work/first" >"$work/log" || fail "cmake --install failed: $(tail -n3 "$work/log")"
mv "$work/first" "$work/moved"
cd "$work"  # nothing named configs/ here
export PATH=$work/moved/bin:$PATH
[[ $(command -v gpumonth) == "$work/moved/bin/gpumonth" ]] || fail "no bin/gpumonth"

strings=$(gpumonth flops configs/models/dit-xl-2.toml --json) || fail "flops does not find the installed models"
[[ $strings == *'"params": 674834720'* ]] || fail "flops of dit-xl-2: $strings"
ladder=$(gpumonth budget configs/scenarios/sora-2024.toml)  || fail "budget does not find the installed scenarios"
[[ $ladder == *4,211* && $ladder == *10,528* ]] || fail "the first rung is not 4,211 to 10,528: $ladder"
gpumonth fit --csv configs/published/scaling.csv --curve mlperf_gpt3_h100_v3.1 >/dev/null || fail "no published curves"
gpumonth train configs/runs/tiny.toml --set run.steps=2 --set run.directory=out >/dev/null || fail "train failed"
[[ -s out/run.h5 ]] || fail "train left no out/run.h5"
# A folder of that name here wins, and what is nowhere is an error that names the file as it was typed.
mkdir -p configs/models && sed 's/^depth.*/depth = 1/' moved/share/gpumonth/configs/models/dit-s-2.toml >configs/models/dit-s-2.toml
[[ $(gpumonth flops configs/models/dit-s-2.toml --json) != *"$(gpumonth flops moved/share/gpumonth/configs/models/dit-s-2.toml --json |
  grep '"params"')"* ]] || fail "the installed model was taken instead of the one in this folder"
code=0 && message=$(gpumonth flops configs/models/none.toml 2>&1) || code=$?
[[ $code == 2 && $message == *configs/models/none.toml* ]] || fail "a model that is nowhere: $code $message"

documents=moved/share/doc/gpumonth
[[ -s $documents/LICENSE ]] || fail "LICENSE is not installed"
for package in libcli11-dev nlohmann-json3-dev libeigen3-dev; do
  if [[ -e /usr/share/doc/$package/copyright ]]; then
    [[ -s $documents/licenses/$package ]] || fail "the licence of $package, whose headers are compiled in, is not installed"
  fi
done

# completed WORD...: what the last of these words is completed to
completed() {
  # shellcheck disable=SC2016
  bash -c 'source moved/share/bash-completion/completions/gpumonth
    COMP_WORDS=(gpumonth "$@") COMP_CWORD=$# && _gpumonth 2>/dev/null; printf "%s\n" "${COMPREPLY[@]}"' _ "$@"
}
[[ $(completed bu) == budget ]] || fail "'bu' is completed to: $(completed bu)"
[[ $(completed fit --pre) == --predict ]] || fail "'fit --pre' is completed to: $(completed fit --pre)"
[[ $(completed train --set model.dep) == model.depth= ]] || fail "'--set model.dep' is completed to: $(completed train --set model.dep)"
[[ $(completed flops moved/share/gpumonth/configs/models/dit-xl-8) == *dit-xl-8.toml ]] || fail "files are not completed"
