#!/usr/bin/env bash
# Every C++ and CUDA source and every test script is named in a CMakeLists.txt: one that a move of files has dropped is
# neither compiled nor run, and nothing else would say so.
#
#   listed_test.sh SOURCE_DIR
set -euo pipefail
cd "$1"
rooms=$(sed -n '/find base/s/.*<(find \(.*\) -name .\*\.cpp.*/\1/p' tests/jobs/format_test.sh)
lists=$(find $rooms cmake CMakeLists.txt -name CMakeLists.txt -o -name '*.cmake' | xargs cat)
names=$(grep -oE '[A-Za-z0-9_]+\.(cpp|cu|sh)\b' <<<"$lists" | sort -u)
files=$(find $rooms \( -name '*.cpp' -o -name '*.cu' -o -path 'tests/*_test.sh' \) -printf '%f\n' | sort -u)
(($(wc -l <<<"$files") > 300)) || { echo "only $(wc -l <<<"$files") files were found below $PWD"; exit 1; }
missing=$(comm -13 <(echo "$names") <(echo "$files"))
[[ -z $missing ]] || { echo "no CMakeLists.txt names: $(xargs <<<"$missing")"; exit 1; }
[[ -n $(comm -13 <(grep -v '^power_test.cpp$' <<<"$names") <(echo "$files")) ]] || { echo "a dropped file passes"; exit 1; }
echo "$(wc -l <<<"$files") files are listed"
