#!/bin/sh
# Every C++ block of a guide is cut from a file that is compiled and run. Before the block stands a comment,
#   <!-- snippet: docs/snippets/quickstart.cpp model -->
# and in the file the lines stand between "// <model>" and "// </model>"; without a name the whole file is meant.
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
[ $# -gt 0 ] || set -- docs/*.md
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
    /^<!-- snippet: .* -->$/ { file = $3; name = $4 == "-->" ? "" : $4 }
    skipping && /^```$/ { skipping = 0 }
    !skipping { print }
    /^```[a-z]/ {
      if (file != "") { paste(file, name); skipping = 1; file = "" }
      else if ($0 ~ /cpp/) { print FILENAME ":" FNR ": a C++ block without a snippet comment" > "/dev/stderr"; bad = 1 }
    }
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
exit $bad
