#!/usr/bin/env bash
# From nothing to a report: a minimal system in a folder of its own, the repository, jobs/quickstart.sh, nothing else.
# What the quickstart forgets to install is on every developer's machine, but not there.
#
#   tests/bare_root.sh                      Debian 12, and Ubuntu 24.04 where its archive is reached
#   tests/bare_root.sh bookworm|noble       one of them
#   ROOTS=DIR STEPS=60 tests/bare_root.sh   keeps the roots in DIR; optimizer steps per run (default 60)
#
# Needs root, debootstrap and about 3 GB in ROOTS or /tmp. On Debian nothing checks Ubuntu's signatures, as it has no
# keyring of theirs. A root that cannot be made is said; exit 77 when none could be.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
steps=${STEPS:-60}

skip() { echo "skipped: $*"; exit 77; }
[[ $(id -u) == 0 ]] || skip "not root, so no root directory of its own can be made"
command -v debootstrap >/dev/null || skip "debootstrap is missing: apt-get install debootstrap"
case "${1:-} $#" in
  ' 0') suites=(bookworm noble) ;;
  'bookworm 1' | 'noble 1') suites=("$1") ;;
  *) echo "bare_root.sh: usage: tests/bare_root.sh [bookworm|noble]" >&2; exit 2 ;;
esac

roots=${ROOTS:-}
[[ -z $roots ]] || mkdir -p "$roots"
if [[ -z $roots ]]; then
  roots=$(mktemp -d)
  trap 'rm -rf --one-file-system "$roots"' EXIT
fi

# make_root SUITE FOLDER
make_root() {
  local suite=$1 root=$2 archive components=main keyring=() script=()
  case $suite in
    bookworm) archive=http://deb.debian.org/debian ;;
    noble)
      archive=http://archive.ubuntu.com/ubuntu components=main,universe
      # Debian 12's debootstrap is older than this suite; Ubuntu's have all been made in one way since gutsy
      [[ -e /usr/share/debootstrap/scripts/noble ]] || script=(/usr/share/debootstrap/scripts/gutsy)
      if [[ -e /usr/share/keyrings/ubuntu-archive-keyring.gpg ]]; then
        keyring=(--keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg)
      fi ;;
  esac
  wget -q --spider --timeout=20 "$archive/dists/$suite/InRelease" ||
    { echo "$suite: $archive is not reached from here"; return 1; }
  debootstrap --variant=minbase --components=$components "${keyring[@]}" "$suite" "$root" "$archive" "${script[@]}" >"$root.log" 2>&1 ||
    { echo "$suite: debootstrap failed: $(tail -n1 "$root.log")"; return 1; }
  echo "deb $archive $suite ${components/,/ }" >"$root/etc/apt/sources.list"
}

# in_root FOLDER COMMAND...: with /proc, /sys and /dev of this machine, in a mount namespace that ends with it. No
# variable of this shell's goes in.
in_root() {
  local root=$1
  shift
  # shellcheck disable=SC2016
  unshare --mount --propagation private bash -c '
    root=$1; shift
    mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" || exit 77
    mount -t tmpfs tmpfs "$root/dev/shm"
    exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 chroot "$root" "$@"' _ "$root" "$@"
}

# check SUITE: 0 passed, 1 failed, 77 no root
check() {
  local suite=$1 root=$roots/$1 started=$SECONDS code=0
  make_root "$suite" "$root" || return 77
  cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  git clone -q --no-hardlinks "$source_dir" "$root/gpumonth" 2>/dev/null || { echo "$suite: git clone failed"; return 1; }
  echo "$suite: $(in_root "$root" dpkg-query -W | wc -l) packages before; made in $((SECONDS - started)) s"
  started=$SECONDS
  in_root "$root" bash -c "cd /gpumonth && STEPS=$steps jobs/quickstart.sh" >"$root.quickstart.log" 2>&1 || code=$?
  if [[ $code != 0 ]]; then
    echo "$suite: the quickstart ended with $code:"
    tail -n 15 "$root.quickstart.log"
    return 1
  fi
  [[ -s $(echo "$root"/gpumonth/runs/quickstart-*/report.html) ]] || { echo "$suite: there is no report"; return 1; }
  echo "$suite: quickstart passed in $((SECONDS - started)) s: $(grep -c . "$root.quickstart.log") lines, $(
    stat -c '%s bytes of report' "$root"/gpumonth/runs/quickstart-*/report.html)"
}

passed=0
for suite in "${suites[@]}"; do
  code=0
  check "$suite" || code=$?
  case $code in
    0) passed=$((passed + 1)) ;;
    77) ;;
    *) exit 1 ;;
  esac
done
((passed > 0)) || skip "none of these roots could be made: ${suites[*]}"
echo "$passed of ${#suites[@]} systems: quickstart passed from a minimal root"
