#!/bin/sh
# Usage: fashion_mnist_bad_input.sh PROGRAM. Every kind of bad input must give one line on stderr and a failing exit code.
set -u
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# expect WORDS ARGUMENT...: the program fails, and its only line on stderr holds WORDS.
expect() {
  words=$1
  shift
  "$program" "$@" >"$folder/out" 2>"$folder/err"
  code=$?
  lines=$(wc -l <"$folder/err")
  if [ "$code" -eq 0 ] || [ "$code" -ge 128 ] || [ "$lines" -ne 1 ] || ! grep -qF -- "$words" "$folder/err"; then
    printf 'FAILED: %s\n  exit code %s, %s lines on stderr, expected words: %s\n' "$*" "$code" "$lines" "$words"
    sed 's/^/  | /' "$folder/err"
    failures=$((failures + 1))
  fi
}

expect "--epochs" --data embedded --epochs 0
expect "--epochs" --data embedded --epochs -3
expect "--epochs" --data embedded --epochs many
expect "--epochs" --data embedded --epochs 1.5
expect "--batch-size" --data embedded --batch-size 0
expect "--batch-size" --data embedded --batch-size 99999999999999999999
expect "--limit" --data embedded --limit -1
expect "--threads" --data embedded --threads 0
expect "--learning-rate" --data embedded --learning-rate nan
expect "--learning-rate" --data embedded --learning-rate inf
expect "--learning-rate" --data embedded --learning-rate fast
expect "--momentum" --data embedded --momentum nan
expect "--momentum" --data embedded --momentum 2
expect "--optimizer" --data embedded --optimizer newton
expect "--schedule" --data embedded --schedule zigzag
expect "--preset" --data embedded --preset none
expect "--seed" --data embedded --seed x
expect "--frobnicate" --data embedded --frobnicate
expect "batch is larger" --data embedded --limit 10
expect "$folder/nowhere" --data "$folder/nowhere"
expect "train-images" --data "$folder"
expect "$folder/nowhere/history" --data embedded --limit 300 --epochs 1 --history "$folder/nowhere/history"
expect "$folder/nowhere/curves" --data embedded --limit 300 --epochs 1 --curves "$folder/nowhere/curves"
MAX_EPOCH=zero expect "--epochs: Value zero" --data embedded
DATASET_LIMIT=-5 expect "--limit: Value -5" --data embedded

for name in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
  printf 'this is not gzip' >"$folder/$name-ubyte.gz"
done
expect "train-images-idx3-ubyte.gz" --data "$folder"

# A command line that is refused leaves a history of an earlier run alone.
echo precious >"$folder/history"
expect "--epochs" --data embedded --epochs 0 --history "$folder/history"
expect "$folder/nowhere" --data "$folder/nowhere" --history "$folder/history"
if [ "$(cat "$folder/history")" != precious ]; then
  echo "FAILED: a refused run changed the history"
  failures=$((failures + 1))
fi

[ "$failures" -eq 0 ]
