#!/bin/sh
# Builds everything and runs the tests; installs missing Debian packages first.
#   sh tests/run.sh [--sanitize] [arguments for ctest]
# --sanitize builds with AddressSanitizer and UndefinedBehaviorSanitizer, in build/asan instead of build/release.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/cmake/packages.sh"

preset=release
left=$#
while [ "$left" -gt 0 ]; do
  case $1 in
    --sanitize) preset=asan ;;
    *) set -- "$@" "$1" ;;
  esac
  shift
  left=$((left - 1))
done

require_packages
build "$preset"
say "Running the tests in build/$preset"
UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1}
export UBSAN_OPTIONS
exec ctest --test-dir "$root/build/$preset" --output-on-failure --no-tests=error --parallel 2 "$@"
