#!/usr/bin/env bash
# The README and docs/ say what is there: the ladder is what the command prints, and links and paths lead somewhere.
set -euo pipefail
source_dir=$1 gpumonth=$2
cd "$source_dir"

fail() { echo "readme_test.sh: $*"; exit 1; }

printed=$("$gpumonth" budget configs/scenarios/sora-2024.toml | sed -n '/^The ladder/,/^$/{/^$/!p}')
[[ $(wc -l <<<"$printed") -gt 10 ]] || fail "no ladder was printed: $printed"
quoted=$(sed -n '/^The ladder: GPU-months/,/^```$/{/^```$/!p}' README.md)
[[ $printed == "$quoted" ]] || fail "README.md quotes another ladder than the command prints:"$'\n'"$(diff <(echo "$quoted") <(echo "$printed"))"

checked=0
for page in README.md docs/*.md; do
  while read -r target; do
    [[ -e $(dirname "$page")/$target ]] || fail "$page links to $target, which does not exist"
    checked=$((checked + 1))
  done < <(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '^http' || true)
  # Paths in code: configs/..., jobs/..., tests/... with a suffix and no pattern in them.
  while read -r path; do
    [[ -e $path ]] || fail "$page names $path, which does not exist"
    checked=$((checked + 1))
  done < <(grep -oE '\b(configs|jobs|tests|docs|base|model|machine|trainer|comm|replay|simulate|runlog|scaling|exchange|budget|report|cli)/[A-Za-z0-9_./-]+\.(toml|sh|h|cpp|md|h5|csv|py)\b' "$page" | sort -u || true)
done
((checked > 20)) || fail "only $checked links and paths were found: the search is broken"
echo "the ladder and $checked links and paths are right"
