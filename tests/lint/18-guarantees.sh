#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each promise in docs/guarantees.md names its test; each test that it or SECURITY.md names exists, also a unit test of which
# only the file is named; scripts are executable.
. "$(dirname "$0")/lint.inc"

page=docs/guarantees.md
# Rows of the tables of promises: their last cell names a test, or "the same" after a row that does.
unnamed() {
	awk -F ' *[|] *' '
		/^## The last long run|^## Figures/ { exit }
		/^\| promise / { promises = 1; last = ""; next }
		!/^\|/ { promises = 0 }
		!promises || /^\| -/ { next }
		{
			test = $(NF - 1)
			if (test !~ /`tests\/|`test_[a-z_]*\.c`|`nothing_amiss`/ && !(test == "the same" && last != ""))
				printf "%d: %s\n", NR, $2
			last = test
		}' "$page"
}
# named FILE: paths of tests in backquotes there
named() { grep -oE '`(tests/[A-Za-z0-9_./-]+|test_[a-z0-9_]+\.c)' "$1" | tr -d '`' | sort -u; }
missing() {
	for file in "$page" SECURITY.md; do
		named "$file" | while read -r test; do
			case $test in
			test_*) [ -n "$(find tests/unit -name "$test")" ] || echo "$file: $test: no such unit test" ;;
			tests/lib/* | *.c | *.tsv) [ -e "$test" ] || echo "$file: $test: no such file" ;;
			*) [ -x "$test" ] || echo "$file: $test: no such test" ;;
			esac
		done
	done
}
verdict "each promise names its test" "$(unnamed)"
verdict "the tests that promises name exist" "$(missing)"
verdict "there are promises" "$([ "$(grep -c '^| [A-Z]' "$page")" -ge 20 ] || echo "fewer than 20 in $page: has its form changed?")"
# The page shows the record of fuzzing, and every target has one.
recorded() { awk -F '\t' 'NR > 1 { print "fuzz_" $1, $2, $3 }' tests/fuzz/driver/record.tsv; }
shown() { awk -F ' *[|] *' '/^\| `fuzz_/ { gsub(/[`,]/, ""); print $2, $3, $4 }' "$page"; }
verdict "the table of fuzzing matches the record (tests/fuzz/driver/explore.py --docs)" "$(recorded >"${TMPDIR:-/tmp}/recorded.$$"; shown | diff - "${TMPDIR:-/tmp}/recorded.$$"; rm -f "${TMPDIR:-/tmp}/recorded.$$")"
verdict "each fuzz target is on record" "$(for file in tests/fuzz/fuzz_*.c; do
	name=$(basename "$file" .c)
	recorded | grep -q "^$name " || echo "$name"
done)"
