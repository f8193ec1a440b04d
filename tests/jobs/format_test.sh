#!/usr/bin/env bash
# Every C++ and CUDA file is as .clang-format has it. clang-format 14, which Debian 12 and Ubuntu 24.04 both have: other
# versions break lines elsewhere.
#
#   format_test.sh SOURCE_DIR [--fix]     --fix: writes the files instead
set -euo pipefail
cd "$1"
formatter=$(type -P clang-format-14) || { echo "clang-format-14 is missing: jobs/install.sh test"; exit 1; }
mapfile -t files < <(find base budget cli comm exchange machine model replay report runlog scaling simulate tests trainer -name '*.cpp' -o -name '*.h' -o -name '*.cu')
((${#files[@]} > 400)) || { echo "only ${#files[@]} files were found below $PWD"; exit 1; }
if [[ ${2:-} == --fix ]]; then  # only what changes is written: each written file is compiled again
  for file in "${files[@]}"; do
    "$formatter" --dry-run --Werror "$file" >/dev/null 2>&1 || { "$formatter" -i "$file" && echo "$file"; }
  done
  exit 0
fi
if ! "$formatter" --dry-run --Werror "${files[@]}" >/dev/null 2>&1; then
  "$formatter" --dry-run "${files[@]}" 2>&1 | grep -oE '^[^:]+:[0-9]+' | sort -u -t: -k1,1 | head -n 20
  echo "these are not formatted: tests/jobs/format_test.sh . --fix"
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp .clang-format "$work/" && echo 'int  f( ){return 1 ;}' >"$work/f.cpp"
! (cd "$work" && "$formatter" --dry-run --Werror f.cpp) >/dev/null 2>&1 || { echo "an unformatted file passes"; exit 1; }
echo "${#files[@]} files are formatted"
