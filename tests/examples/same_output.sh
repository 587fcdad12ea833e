#!/bin/sh
# Usage: same_output.sh PROGRAM FILE. The program prints what FILE holds.
set -eu
output=$(mktemp)
trap 'rm -f "$output"' EXIT
"$1" >"$output"
diff -u "$2" "$output"
