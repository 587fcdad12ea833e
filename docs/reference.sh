#!/bin/sh
# Makes the API reference in build/reference/html by Doxygen (Debian: doxygen) and fails on any warning.
set -eu
cd "$(dirname "$0")/.."
if ! command -v doxygen >/dev/null; then
  echo "reference: doxygen is missing (Debian: apt-get install doxygen)" >&2
  exit 1
fi
mkdir -p build/reference
doxygen docs/Doxyfile
echo "reference: build/reference/html/index.html"
