#!/bin/sh
# Measures what docs/build.md states: the size of what is installed, of a program with it, and how long files take to compile.
#   sh tests/tools/measure_build.sh      prints the tables; build/release must be built, and nothing else should run
# The program is the flagship example, made by a project that finds the installed package, as a user's would.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }
size_of() { megabytes "$(wc -c <"$1")"; }
stripped() {
  strip "$2" -o "$work/stripped" "$1"
  size_of "$work/stripped"
}

cmake --install "$root/build/release" --prefix "$work/installed" >/dev/null
library=$(find "$work/installed" -name 'liblinseed.*')
headers=$(find "$work/installed" -name '*.hpp' -exec cat {} + | wc -c)
printf '| what | as built | stripped |\n|---|---|---|\n'
printf '| installed headers, %s files | %s | |\n' "$(find "$work/installed" -name '*.hpp' | wc -l)" "$(megabytes "$headers")"
printf '| installed `%s` | %s | %s |\n' "$(basename "$library")" "$(size_of "$library")" "$(stripped --strip-debug "$library")"

cat >"$work/CMakeLists.txt" <<CMAKE
cmake_minimum_required(VERSION 3.22)
project(size LANGUAGES CXX)
find_package(linseed REQUIRED)
find_package(CLI11 REQUIRED)
add_executable(fashion_mnist $root/examples/fashion_mnist/main.cpp $root/examples/fashion_mnist/options.cpp)
target_link_libraries(fashion_mnist PRIVATE linseed::linseed CLI11::CLI11)
CMAKE
for static in OFF ON; do
  cmake -S "$work" -B "$work/$static" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/installed" \
    -DLINSEED_STATIC=$static >/dev/null
  cmake --build "$work/$static" >/dev/null
  name="with the system's shared libraries"
  if [ "$static" = ON ]; then name="with \`LINSEED_STATIC\`"; fi
  printf '| `fashion_mnist`, %s | %s | %s |\n' "$name" "$(size_of "$work/$static/fashion_mnist")" \
    "$(stripped --strip-all "$work/$static/fashion_mnist")"
  "$work/$static/fashion_mnist" --data embedded --epochs 1 --batch-size 100 >/dev/null
done

printf '\n| file | seconds at -O2 |\n|---|---|\n'
printf '#include <linseed/linseed.hpp>\nint main() {}\n' >"$work/empty.cpp"
for file in "$work/empty.cpp" "$root/docs/snippets/readme.cpp" "$root"/examples/lenet_concise/main.cpp \
  "$root"/examples/fashion_mnist/main.cpp "$root"/examples/object_style/main.cpp; do
  best=
  for _ in 1 2 3; do
    start=$(date +%s%N)
    g++ -std=c++20 -O2 -fno-new-ttp-matching -I"$root/include" -c "$file" -o "$work/object.o"
    took=$((($(date +%s%N) - start) / 1000000))
    if [ -z "$best" ] || [ "$took" -lt "$best" ]; then best=$took; fi
  done
  case $file in
    */empty.cpp) name="nothing but \`#include <linseed/linseed.hpp>\`" ;;
    *) name="[\`${file#"$root/"}\`](../${file#"$root/"})" ;;
  esac
  awk -v name="$name" -v ms="$best" 'BEGIN { printf "| %s | %.1f |\n", name, ms / 1000 }'
done
