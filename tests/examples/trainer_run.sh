#!/bin/sh
# Usage: trainer_run.sh lenet_concise|mnist_cnn|residual PROGRAM. Tiny runs: what they print, what they write, how they end.
set -eu
name=$1
program=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export MAX_EPOCH=2 DATASET_LIMIT=300

fail() { echo "FAILED: $*"; cat "$folder/out"; exit 1; }
printed() { grep -qE -- "$1" "$folder/out" || fail "not printed: $1"; }

"$program" embedded >"$folder/out"
printed '^epoch +loss  accuracy +loss  accuracy +step +seconds  examples/s$'
printed '^ +1( +[0-9.]+){7}$'
printed '^ +2( +[0-9.]+){7}$'
if "$program" "$folder/nowhere" >/dev/null 2>"$folder/error"; then fail "a missing data folder was not refused"; fi
grep -q 'nowhere' "$folder/error" || fail "the missing data folder is not named"

case $name in
  lenet_concise)
    printed '^the book, Java  0\.254 +0\.907 +0\.836 +14497 '
    printed '^gamma of BatchNorm_0: \['
    "$program" embedded "$folder/run" >"$folder/out"
    [ "$(wc -l <"$folder/run/history.csv")" -eq 3 ] || fail "history.csv must have a head and two lines"
    [ "$(wc -l <"$folder/run/history.jsonl")" -eq 2 ] || fail "history.jsonl must have two lines"
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
    printed '^with running statistics$'
    printed "'BatchNorm_0': \{'mean': \(20,\), 'var': \(20,\)\}"
    printed '^batch_stats \{\}$'
    if grep -q "'scale'" "$folder/out"; then fail "there is a scale"; fi
    ;;
  residual)
    printed '^77754 parameters, best validation loss [0-9.]+$'
    ;;
esac
