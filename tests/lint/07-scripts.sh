#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shell scripts can be parsed, and runnable ones are executable.
. "$(dirname "$0")/lint.inc"

verdict "sh scripts parse" "$(for file in $(scripts_for sh); do sh -n "$file" 2>&1; done)"
verdict "bash scripts parse" "$(for file in $(scripts_for bash); do bash -n "$file" 2>&1; done)"
verdict "scripts are executable" "$(for file in $(scripts_for sh) $(scripts_for bash); do
	[ -x "$file" ] || echo "$file"
done)"
verdict "tests of the rings are executable" "$(find tests/system tests/wire tests/sim tests/peer -type f -name '[0-9]*-*' ! -perm -u+x)"
# A test is named by its number: tests/run.sh system 030.
verdict "numbers of tests are unique in each ring" "$(for ring in lint system wire sim peer; do
	find "tests/$ring" -type f -name '[0-9]*-*' -printf '%f\n' | sed 's/-.*//' | sort | uniq -d | sed "s,^,tests/$ring: ,"
done)"
verdict "every fuzz target has a corpus" "$(for file in tests/fuzz/fuzz_*.c; do
	name=$(basename "$file" .c)
	ls "tests/fuzz/corpus/${name#fuzz_}"/* >/dev/null 2>&1 || echo "$file"
done)"
