#!/bin/sh
# Usage: trainer_run.sh lenet_concise|mnist_cnn|residual PROGRAM. Tiny runs: what they print, what they write, how they end.
set -eu
name=$1
program=$2
here=$(dirname "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export MAX_EPOCH=2 DATASET_LIMIT=300

fail() { echo "FAILED: $*"; cat "$folder/out"; exit 1; }
printed() { grep -qE -- "$1" "$folder/out" || fail "not printed: $1"; }

# The numbers of a tiny run, and the words of the long one whose output is beside the example.
sh "$here/same_output.sh" "$here/$name.txt" "$program" embedded
epochs=$(sed -nE 's/^ +([0-9]+)( +[0-9.]+){7}$/\1/p' "$here/../../examples/$name/output.txt" | tail -n 1)
MAX_EPOCH=$epochs sh "$here/same_output.sh" --words "$here/../../examples/$name/output.txt" "$program" embedded

if "$program" "$folder/nowhere" >/dev/null 2>"$folder/error"; then fail "a missing data folder was not refused"; fi
grep -q 'nowhere' "$folder/error" || fail "the missing data folder is not named"

case $name in
  lenet_concise)
    "$program" embedded "$folder/run" >"$folder/out"
    [ "$(wc -l <"$folder/run/history.csv")" -eq 3 ] || fail "history.csv must have a head and two lines"
    [ "$(wc -l <"$folder/run/history.jsonl")" -eq 2 ] || fail "history.jsonl must have two lines"
    [ "$(grep -c '<path class="curve' "$folder/run/curves.svg")" -eq 4 ] || fail "curves.svg must have four curves"
    grep -q '<svg ' "$folder/run/report.html" || fail "report.html has no chart"
    for part in train validation; do
      [ "$(find "$folder/run/$part" -name 'events.out.tfevents.*' | wc -l)" -eq 1 ] || fail "no events of $part"
    done
    # A folder that cannot be written to is refused before the first step.
    : >"$folder/file"
    if "$program" embedded "$folder/file" >"$folder/out" 2>"$folder/error"; then fail "a file as folder was not refused"; fi
    grep -qF "$folder/file" "$folder/error" || fail "the file is not named"
    if grep -qE '^ +1' "$folder/out"; then fail "it trained all the same"; fi
    # Ctrl-C ends a run that would take hours, and what it has is printed. Without --foreground timeout sends the signal
    # twice, and the second one ends the program at once.
    MAX_EPOCH=1000000 timeout --foreground --preserve-status --signal=INT 4 "$program" embedded >"$folder/out" ||
      fail "the interrupted run failed"
    printed '^gamma of BatchNorm_0: \['
    ;;
  mnist_cnn)
    "$program" embedded >"$folder/out"
    if grep -q "'scale'" "$folder/out"; then fail "there is a scale"; fi
    ;;
esac
