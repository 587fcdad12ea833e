#!/bin/sh
# Cuts the extract beside this script from the full data set: the header with a smaller count, then the first elements.
#   sh src/data/embedded/make.sh [FOLDER OF THE FULL SET]
set -eu
from=${1:-/usr/share/datasets/fashion-mnist}
here=$(cd "$(dirname "$0")" && pwd)

# cut NAME COUNT HEADER_BYTES BYTES_PER_EXAMPLE: bytes 4 to 7 of an IDX file are the count, big-endian.
cut_file() {
  full=$from/$1.gz
  count=$(printf '\\000\\000\\%03o\\%03o' $(($2 / 256)) $(($2 % 256)))
  {
    gzip -dc "$full" | head -c 4
    printf "$count"
    gzip -dc "$full" | tail -c +9 | head -c $(($3 - 8 + $2 * $4))
  } | gzip -9n >"$here/$1.gz"
}

cut_file train-images-idx3-ubyte 1000 16 784
cut_file train-labels-idx1-ubyte 1000 8 1
cut_file t10k-images-idx3-ubyte 500 16 784
cut_file t10k-labels-idx1-ubyte 500 8 1
