#!/bin/sh
# Opens a report, and curves.svg beside it, in headless Chromium (Debian: apt-get install chromium), checks what they show,
# and makes screenshots.
#   sh tests/tools/check_report.sh REPORT.html [FOLDER]    screenshots go to FOLDER (default: beside the report)
#   sh tests/tools/check_report.sh                         of a short run of build/release/bin/lenet_concise
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
  { echo "check_report: there is no Chromium (Debian: apt-get install chromium)" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

report=${1:-}
if [ -z "$report" ]; then
  run=$root/build/release/report
  MAX_EPOCH=12 DATASET_LIMIT=1000 "$root/build/release/bin/lenet_concise" embedded "$run" >/dev/null
  report=$run/report.html
fi
report=$(realpath "$report")
folder=${2:-$(dirname "$report")}
mkdir -p "$folder"

# open_page PAGE OPTION...
open_page() {
  page=$1
  shift
  "$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$scratch/profile" \
    --enable-logging=stderr --virtual-time-budget=2000 "$@" "file://$page" 2>>"$scratch/log"
}

open_page "$report" --dump-dom >"$scratch/dom"
fail() { echo "check_report: $*" >&2; exit 1; }
[ "$(grep -c '<svg ' "$scratch/dom")" -ge 1 ] || fail "the page shows no chart"
[ "$(grep -c '<path class="curve' "$scratch/dom")" -ge 1 ] || fail "the charts show no curve"
grep -q '<table>' "$scratch/dom" || fail "the page has no table"
if grep -qiE 'https?:|<script|<link|@import|url\(' "$report"; then fail "the page is not self-contained"; fi
if grep -q 'CONSOLE' "$scratch/log"; then fail "the page has errors: $(grep CONSOLE "$scratch/log")"; fi

open_page "$report" --window-size=1200,1000 --screenshot="$folder/report-light.png" >/dev/null
open_page "$report" --window-size=1200,1000 --blink-settings=preferredColorScheme=0 --screenshot="$folder/report-dark.png" >/dev/null
open_page "$report" --window-size=500,1400 --screenshot="$folder/report-narrow.png" >/dev/null
for name in light dark narrow; do
  [ -s "$folder/report-$name.png" ] || fail "no screenshot report-$name.png was made"
done
# The picture of the same curves, where there is one.
picture=$(dirname "$report")/curves.svg
if [ -e "$picture" ]; then
  open_page "$picture" --dump-dom >"$scratch/picture"
  if grep -q 'parsererror' "$scratch/picture"; then fail "the picture is no XML"; fi
  [ "$(grep -c '<path class="curve' "$scratch/picture")" -ge 1 ] || fail "the picture shows no curve"
  open_page "$picture" --window-size=1240,400 --screenshot="$folder/curves.png" >/dev/null
  [ -s "$folder/curves.png" ] || fail "no screenshot of the picture was made"
fi
if cmp -s "$folder/report-light.png" "$folder/report-dark.png"; then fail "dark looks like light"; fi
echo "check_report: $report is fine; look at report-light.png, report-dark.png, report-narrow.png and curves.png in $folder"
