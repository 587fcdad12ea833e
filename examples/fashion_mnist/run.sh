#!/bin/sh
# Builds and runs the Fashion-MNIST example; installs missing Debian packages, the data set included, first.
#   sh examples/fashion_mnist/run.sh [options of the example, see --help]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/cmake/packages.sh"

# Who brings data needs no package for it.
for argument in "$@"; do
  case $argument in
    --data | --data=*) linseed_packages=${linseed_packages%dataset-fashion-mnist} ;;
  esac
done

require_packages
build release fashion_mnist
say "Running build/release/bin/fashion_mnist $*"
exec "$root/build/release/bin/fashion_mnist" "$@"
