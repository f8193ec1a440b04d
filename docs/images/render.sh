#!/usr/bin/env bash
# Makes docs/images/report.png, the README's picture: the first screen of a report as Chromium shows it.
#
#   docs/images/render.sh report.html        the page that jobs/quickstart.sh or `gpumonth report` wrote
#
# Needs Debian's chromium, which nothing else here does.
set -euo pipefail
fail() {
  echo "render.sh: $*" >&2
  exit 2
}
[[ $# == 1 && -r $1 ]] || fail "give the page: $0 report.html"
browser=$(command -v chromium || command -v google-chrome) || fail "no chromium: apt-get install chromium"
picture=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/report.png
"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1100,1240 --screenshot="$picture" \
  "file://$(realpath "$1")" 2>/dev/null
echo "$picture"
