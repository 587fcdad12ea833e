#!/bin/sh
# Usage: fashion_mnist_run.sh PROGRAM. A tiny run: what it prints, its history, and the same numbers at any thread count.
set -eu
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

MAX_EPOCH=2 DATASET_LIMIT=400 "$program" --data embedded --batch-size 100 --threads 1 --history "$folder/one" \
  --curves "$folder/curves.svg" >"$folder/out"
MAX_EPOCH=2 DATASET_LIMIT=400 "$program" --data embedded --batch-size 100 --threads 3 --history "$folder/three" >/dev/null

here=$(dirname "$0")
sh "$here/same_output.sh" "$here/fashion_mnist.txt" - <"$folder/out"
# The words of the long run whose output is beside the example.
sample=$here/../../examples/fashion_mnist/output.txt
MAX_EPOCH=$(grep -c '^epoch' "$sample") DATASET_LIMIT=256 sh "$here/same_output.sh" --words "$sample" "$program" --data embedded

[ "$(wc -l <"$folder/one")" -eq 2 ] || { echo "the history must have one line per epoch"; exit 1; }
keys='"epoch":1,"train_loss":[0-9.]*,"train_accuracy":[0-9.]*,"test_loss":[0-9.]*,"test_accuracy":[0-9.]*,"examples_per_second":[0-9.]*'
head -n 1 "$folder/one" | grep -qx "{$keys}" || { echo "unexpected history:"; cat "$folder/one"; exit 1; }

[ "$(grep -c '<path class="curve' "$folder/curves.svg")" -eq 4 ] || { echo "the picture must have four curves"; exit 1; }

for run in one three; do sed 's/,"examples_per_second.*//' "$folder/$run" >"$folder/$run.numbers"; done
cmp "$folder/one.numbers" "$folder/three.numbers" || { echo "the number of threads shows in the results"; exit 1; }
