# For sourcing, by bash: hosts of network namespaces on shaped links, until the test ends. Exit 77, and why, where these do not work here.
#   hosts_up N RATE      as tests/netlab.sh up; sets $netlab, the script, and $out, a folder
hosts_up() {
  local why
  netlab=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../netlab.sh
  why=$("$netlab" can) || { echo "skipped: $why"; exit 77; }
  out=$(mktemp -d)
  trap '"$netlab" down; rm -rf "$out"' EXIT
  "$netlab" down
  "$netlab" up "$@" || exit 1
}
