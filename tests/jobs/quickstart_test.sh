#!/usr/bin/env bash
# jobs/quickstart.sh as a new user runs it: a copy of the tree, in a folder with a space in its name, from elsewhere.
# First within 10 minutes with a cold build, then within 2; a page is left, and nothing outside build/ and runs/.
set -euo pipefail
source_dir=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree="$work/a clone"
mkdir "$tree"
tar -C "$source_dir" --exclude=./build --exclude=./runs --exclude=./.git -c . | tar -C "$tree" -x

fail() { echo "quickstart_test.sh: $*"; exit 1; }
listing() { (cd "$work" && find . -path './a clone/build' -prune -o -path './a clone/runs' -prune -o -type f -exec md5sum {} + | sort -k 2); }
# timed SECONDS
timed() {
  local started=$SECONDS
  (cd / && CCACHE_DISABLE=1 TMPDIR=$work "$tree/jobs/quickstart.sh") >"$tree/build.out" 2>&1 || { cat "$tree/build.out"; fail "it failed"; }
  mv "$tree/build.out" "$tree/build/" && tail -n 6 "$tree/build/build.out"
  ((SECONDS - started <= $1)) || fail "it took $((SECONDS - started)) s, more than $1"
}

before=$(listing)
timed 600
timed 120
[[ $(listing) == "$before" ]] || fail "files outside build/ and runs/ changed: $(diff <(echo "$before") <(listing))"
pages=("$tree"/runs/quickstart-*/report.html)
[[ ${#pages[@]} == 2 && -s ${pages[0]} && -s ${pages[1]} ]] || fail "no two pages: ${pages[*]}"
grep -q '<svg' "${pages[1]}" || fail "the page has no plots"
grep -q '4,211' "$tree/build/build.out" || fail "the ladder was not printed"
