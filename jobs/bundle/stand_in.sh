#!/usr/bin/env bash
# Makes a library in the place of another one, of which the bundle's programs only need that it is there: it has the
# functions that they link against, and each of them says so and ends the program.
#
#   stand_in.sh REAL OUT WANTED     REAL: the library; OUT: its stand-in, of the same file name; WANTED: a file with the
#                                   symbols that others ask for, SYMBOL[@VERSION] a line
set -euo pipefail
real=$1 out=$2 wanted=$3
name=${out##*/}
fail() {
  echo "stand_in.sh: $*" >&2
  exit 2
}
for tool in nm cc; do type -P $tool >/dev/null || fail "$tool is missing: jobs/install.sh test"; done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# SYMBOL TYPE that the library has, and SYMBOL VERSION TYPE of those that are asked for.
nm -D --defined-only "$real" | awk '{sub(/@.*/, "", $3); print $3, $2}' | sort -u >"$work/defined"
awk 'NR == FNR {type[$1] = $2; next} {symbol = $1; sub(/@.*/, "", symbol)} symbol in type {print symbol, ($1 ~ /@/ ? substr($1, index($1, "@") + 1) : "-"), type[symbol]}' \
  "$work/defined" "$wanted" >"$work/symbols"
if data=$(awk '$3 !~ /^[TWi]$/ {print $1}' "$work/symbols" | grep .); then fail "$name cannot be left out: $data is data"; fi

{
  printf '#include <stdio.h>\n#include <stdlib.h>\n'
  printf 'static void leave(const char* what) { fprintf(stderr, "%%s of %s was called, which the bundle leaves out (jobs/bundle.sh)\\n", what); abort(); }\n' "$name"
  awk '{printf "void %s(void) { leave(\"%s\"); }\n", $1, $1}' "$work/symbols"
} >"$work/functions.c"
awk '$2 != "-" {of[$2] = of[$2] " " $1 ";"} END {for (v in of) printf "%s { global:%s };\n", v, of[v]}' "$work/symbols" >"$work/versions"
script=()
if [[ -s $work/versions ]]; then script=("-Wl,--version-script=$work/versions"); fi
cc -shared -fPIC -Os -w -fno-builtin "$work/functions.c" -Wl,-soname,"$name" "${script[@]}" -o "$out"
