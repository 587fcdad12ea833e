#!/bin/sh
# Every block of C++ and every output in a guide is cut from a file that is compiled and run. Before the block stands a
# comment,
#   <!-- snippet: docs/snippets/quickstart.cpp model -->
# and in the file the lines stand between "// <model>" and "// </model>"; without a name the whole file is meant. Blocks
# of shell and CMake stand by themselves; there are no others. The rows after
#   <!-- table: docs/performance.md benchmarks -->
# are those that stand behind "<!-- benchmarks" there.
# usage: snippets.sh [--write] [MARKDOWN...]
# Says what differs and fails; --write puts the files' lines into the guides instead.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
write=no
if [ "${1:-}" = --write ]; then
  write=yes
  shift
fi
[ $# -gt 0 ] || set -- README.md CONTRIBUTING.md examples/README.md docs/*.md
cut=$(mktemp)
trap 'rm -f "$cut"' EXIT
bad=0
for guide in "$@"; do
  if ! awk '
    function paste(file, name,    line, inside, found, margin) {
      inside = name == ""
      while ((status = (getline line < file)) > 0) {
        if (line ~ /^ *\/\/ <\/?[a-z_0-9]+>$/) {
          sub(/^ */, "", line)
          if (line == "// <" name ">") inside = found = 1
          if (line == "// </" name ">") inside = 0
          continue
        }
        if (!inside) continue
        if (name != "" && margin == "") { match(line, /^ */); margin = substr(line, 1, RLENGTH) "|" }
        if (index(line, substr(margin, 1, length(margin) - 1)) == 1) line = substr(line, length(margin))
        print line
      }
      close(file)
      if (status < 0 || (name != "" && !found)) { print FILENAME ": there is no " file " " name > "/dev/stderr"; bad = 1 }
    }
    function rows(file, name,    line, inside, found) {
      while ((status = (getline line < file)) > 0) {
        if (index(line, "<!-- " name) == 1) inside = 1
        else if (index(line, "<!-- ") == 1) inside = 0
        if (inside && line ~ /^\|/) { print line; found = 1 }
      }
      close(file)
      if (!found) { print FILENAME ": there is no table " file " " name > "/dev/stderr"; bad = 1 }
    }
    function complain(what) { print FILENAME ":" FNR ": " what > "/dev/stderr"; bad = 1 }
    in_table && /^\|/ { next }
    { in_table = 0 }
    /^<!-- table: .* -->$/ { print; rows($3, $4); in_table = 1; next }
    /^<!-- snippet: .* -->$/ { file = $3; name = $4 == "-->" ? "" : $4; print; next }
    fenced && /^```$/ { fenced = skipping = 0; print; next }
    skipping { next }
    { print }
    fenced { next }
    /^```(cpp|text)$/ {
      fenced = 1
      if (file == "") complain("a block without a snippet comment")
      else { paste(file, name); skipping = 1; file = "" }
      next
    }
    /^```(sh|cmake)$/ { fenced = 1; next }
    /^ *(```|~~~)/ { complain("a block that is none of cpp, text, sh and cmake, or is indented") }
    file != "" { complain("a snippet comment without its block"); file = "" }
    END { exit bad }
  ' "$guide" > "$cut"; then
    bad=1
  elif ! cmp -s "$cut" "$guide"; then
    if [ "$write" = yes ]; then
      cp "$cut" "$guide"
    else
      echo "$guide differs from its sources; docs/snippets.sh --write takes theirs:"
      diff "$guide" "$cut" || true
      bad=1
    fi
  fi
done

# A link to a file leads to one.
for guide in "$@"; do
  for target in $(sed '/^```/,/^```/d' "$guide" | grep -oE '\]\([^)# ]+' | sed 's/^](//' | grep -v '^[a-z]*:'); do
    if [ ! -e "$(dirname "$guide")/$target" ]; then
      echo "$guide: there is no $target"
      bad=1
    fi
  done
done

# A name with its namespace, nn::Dense, is one of the headers in the folder of that namespace.
spaces='nn|optim|random|training|inspect|data|tree|pytree|object'
for name in $(cat "$@" | grep -oE "(xt::)?\\b($spaces)(::\\w+)+" | sort -u); do
  case $name in
    xt::*) continue ;;
    training::*) folder=train ;;
    pytree::*) folder=tree ;;
    object::*) folder=nn ;;
    *) folder=${name%%::*} ;;
  esac
  if ! grep -rqw -- "${name##*::}" "include/linseed/$folder"; then
    echo "there is no $name in include/linseed/$folder:"
    grep -nF -- "$name" "$@"
    bad=1
  fi
done
exit $bad
