#!/bin/sh
# Runs an example and compares what it prints with its committed sample: words must agree, numbers within one percent
# (or 0.01), since instruction sets round differently. usage: same_output.sh SAMPLE PROGRAM [arguments]
set -eu
sample=$1
shift
got=$(mktemp)
trap 'rm -f "$got"' EXIT
"$@" > "$got"
awk -v sample="$sample" '
  function differ(got, expected) {
    if (got == expected) return 0
    if (got !~ /^[-+]?[0-9.]+(e[-+]?[0-9]+)?[],;]*$/ || expected !~ /^[-+]?[0-9.]+(e[-+]?[0-9]+)?[],;]*$/) return 1
    distance = got - expected; if (distance < 0) distance = -distance
    size = expected < 0 ? -expected : expected
    return distance > 0.01 && distance > 0.01 * size
  }
  {
    line = ""
    wrong = (getline line < sample) <= 0
    got_line = $0
    expected_line = line
    gsub(/\[/, "[ ")
    gsub(/\[/, "[ ", line)
    if (split(line, expected) != NF) wrong = 1
    for (i = 1; i <= NF && !wrong; ++i) wrong = differ($i, expected[i])
    if (wrong) { print "line " NR " is:       " got_line; print "instead of:     " expected_line; exit bad = 1 }
  }
  END { if (!bad && (getline line < sample) > 0) { print "missing: " line; bad = 1 } exit bad }
' "$got"
