#!/usr/bin/env bash
# Every header, library and CMake package that the build opened belongs to a package that jobs/install.sh lists, or to one
# that those depend on: what is only recommended, or lies on this machine by chance, is missing on a fresh one.
#
#   packages_test.sh SOURCE BUILD        ends with 1 and names the files of foreign packages
#
# It also takes packages out of the list, one at a time, and expects to be stopped by it. Exit 77: not a system of dpkg's.
set -euo pipefail
source_dir=$(realpath "$1") build=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "packages_test.sh: $*"; exit 1; }
command -v dpkg-query >/dev/null || { echo "skipped: no dpkg here, so nothing tells which package a file is of"; exit 77; }

# --- what was opened -------------------------------------------------------------------------------------------------
{
  ninja -C "$build" -t deps | sed -n 's|^    \(/.*\)|\1|p'                           # headers
  tr ' ' '\n' <"$build/build.ninja" | grep -E '^/.*\.(so[0-9.]*|a|cmake)$'             # libraries, CMake packages
  sed -nE 's/^[^#:]+:[A-Z]+=(\/.*\.(so|a))$/\1/p' "$build/CMakeCache.txt"
} | sort -u | xargs realpath -se 2>/dev/null | sort -u | grep -vE "^($source_dir|$build)/" >"$work/files" || true

# CUDA, cuDNN and NCCL come from NVIDIA, wherever they were put; where they are missing the build does without.
cuda=$(realpath -m "${CUDA_HOME:-/usr/local/cuda}")
grep -vE "^($cuda|/usr/local/cuda[^/]*|.*/site-packages/nvidia)/" "$work/files" >"$work/ours" || true
[[ $(wc -l <"$work/ours") -gt 300 ]] || fail "only $(wc -l <"$work/ours") files were found in $build: is it built with ninja?"

# --- which package each is of ----------------------------------------------------------------------------------------
# owners <FILES: "file<tab>package", the file without /usr, as dpkg knows a file below /lib by either name. Its lists are
# read directly: `dpkg-query -S` of two thousand files takes minutes.
owners() {
  sed -nE 'p; s|^/usr(/lib.*)|\1|p' | (grep -Fxf - /var/lib/dpkg/info/*.list || true) |
    sed -E 's|^/var/lib/dpkg/info/([^:]*)(:[a-z0-9]+)?\.list:(/usr)?(.*)|\4\t\1|' | sort -u
}
owners <"$work/ours" >"$work/owners"
# A link that update-alternatives made is of no package: what it leads to counts.
sed 's|^/usr||' "$work/ours" | grep -vxFf <(cut -f1 "$work/owners") | while read -r file; do
  owners <<<"$(realpath "/usr$file")" | sed "s|^[^\t]*|$file|"
done >"$work/alternatives" || true
cat "$work/alternatives" >>"$work/owners"

# --- what is installed by the list: it, what every system has, and all they depend on ---------------------------------
dpkg-query -W -f '${Package}\t${Essential}\t${Priority}\t${Provides}\t${Pre-Depends}, ${Depends}\n' >"$work/installed"

# closure LIST: the names of LIST and of everything that follows by Depends, never by Recommends.
closure() {
  awk -F'\t' -v list="$1" '
    {
      there[$1] = 1
      depends[$1] = depends[$1] ", " $5
      if ($2 == "yes" || $3 == "required") wanted[++n] = $1
      count = split($4, provided, ", *")
      for (i = 1; i <= count; i++) {sub(/[ (:].*/, "", provided[i]); providers[provided[i]] = providers[provided[i]] " " $1}
    }
    function want(name) {if (name in there && !(name in seen)) {seen[name] = 1; wanted[++n] = name}}
    END {
      for (i = 1; i <= n; i++) seen[wanted[i]] = 1
      count = split(list, names, " ")
      for (i = 1; i <= count; i++) want(names[i])
      for (at = 1; at <= n; at++) {
        print wanted[at]
        count = split(depends[wanted[at]], clauses, ", *")
        for (i = 1; i <= count; i++) {
          options = split(clauses[i], choice, " *[|] *")
          for (k = 1; k <= options; k++) {   # the first that is there, as apt takes the first
            sub(/[ (:].*/, "", choice[k])
            if (choice[k] == "") continue
            if (choice[k] in there) {want(choice[k]); break}
            if (choice[k] in providers) {
              others = split(providers[choice[k]], other, " ")
              for (j = 1; j <= others; j++) want(other[j])
              break
            }
          }
        }
      }
    }' "$work/installed" | sort -u
}

# foreign PACKAGE...: files that none of these packages and their dependencies brings, with their owners.
foreign() {
  closure "$*" >"$work/closure"
  awk -F'\t' -v ours="$work/ours" '
    FILENAME ~ /closure$/ {listed[$1] = 1; next}
    FILENAME ~ /owners$/ {owner[$1] = owner[$1] " " $2; if ($2 in listed) good[$1] = 1; next}
    {
      name = $1; sub(/^\/usr/, "", name)
      if (!(name in good)) print $1 " (" (name in owner ? "of" owner[name] : "of no package") ")"
    }' "$work/closure" "$work/owners" "$work/ours"
}

listed=$("$source_dir/jobs/install.sh" packages test)
found=$(foreign $listed)
[[ -z $found ]] || fail "the build opened $(wc -l <<<"$found") files that jobs/install.sh does not bring:
$(head -n 20 <<<"$found")"

# --- and it would have told -------------------------------------------------------------------------------------------
for package in ocl-icd-opencl-dev libfmt-dev libhdf5-dev libceres-dev libdnnl-dev; do
  others=$(tr ' ' '\n' <<<"$listed" | grep -vx "$package" | tr '\n' ' ')
  without=$(foreign $others)
  [[ -n $without ]] || fail "without $package in the list nothing would be missing: is it needed?"
  echo "without $package: $(wc -l <<<"$without") files are missed, first $(head -n1 <<<"$without")"
done
echo "all $(wc -l <"$work/ours") headers, libraries and CMake files are of packages that jobs/install.sh brings"
