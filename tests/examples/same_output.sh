#!/bin/sh
# Runs a program and compares what it prints with a committed sample: words must agree, numbers within one percent (or
# 0.01), since instruction sets round differently. Times may be any: numbers before "ms" and "examples/s", and the columns
# "seconds" and "examples/s" at the right of a table. The dots of plots may be any, too.
# usage: same_output.sh [--words] SAMPLE PROGRAM [arguments]
# --words compares words alone, wherever lines end, and no plots: the sample is of a longer run. "-" as PROGRAM takes
# what is printed from standard input.
set -eu
words=0
if [ "$1" = --words ]; then
  words=1
  shift
fi
sample=$1
shift
got=$(mktemp)
trap 'rm -f "$got"' EXIT
if [ "$1" = - ]; then cat > "$got"; else "$@" > "$got"; fi
LC_ALL=C awk -v sample="$sample" -v words=$words '
  function is_number(text) { return text ~ /^[-+]?[0-9.]+(e[-+]?[0-9]+)?[],;]*$/ }
  function differ(got, expected, any) {
    if (got == expected) return 0
    if (!is_number(got) || !is_number(expected)) return 1
    if (any) return 0
    distance = got - expected; if (distance < 0) distance = -distance
    size = expected < 0 ? -expected : expected
    return distance > 0.01 && distance > 0.01 * size
  }
  # Curves, and the spaces where there are none.
  function without_dots(line) { gsub(/\342[\240-\243][\200-\277]/, " ", line); return line }
  function is_plot(line) { return line ~ /┤|│|└|──|^ *[0-9]+ +epoch +[0-9]/ }
  function report(got, expected) {
    print "line " NR " is:       " got
    print "instead of:     " expected
    exit bad = 1
  }
  # The next word of the sample, "" after the last one.
  function next_word(    line) {
    while (at >= number) {
      if ((getline line < sample) <= 0) return ""
      gsub(/[][]/, " ", line)
      at = 0
      number = is_plot(line) ? 0 : split(line, expected)
    }
    return expected[++at]
  }
  words {
    if (is_plot($0)) next
    gsub(/[][]/, " ")
    for (i = 1; i <= NF; ++i) {
      word = next_word()
      if (differ($i, word, 1)) report($0, "... " word)
    }
    next
  }
  {
    line = ""
    wrong = (getline line < sample) <= 0
    got_line = $0
    expected_line = line
    $0 = without_dots($0)
    line = without_dots(line)
    gsub(/\[/, "[ ")
    gsub(/\[/, "[ ", line)
    if (split(line, expected) != NF) wrong = 1
    for (i = 1; i <= NF && !wrong; ++i) {
      timed = $(i + 1) == "ms" || $(i + 1) == "examples/s" || i > NF - timed_columns
      wrong = differ($i, expected[i], timed)
    }
    if (wrong) report(got_line, expected_line)
    if ($NF == "examples/s") timed_columns = $(NF - 1) == "seconds" ? 2 : 1
    if (NF == 0) timed_columns = 0
  }
  END {
    if (bad) exit 1
    if (words ? (line = next_word()) != "" : (getline line < sample) > 0) { print "missing: " line; exit 1 }
  }
' "$got"
