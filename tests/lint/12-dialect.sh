#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One dialect in every folder: rules of the style guide that a compiler does not check.
. "$(dirname "$0")/lint.inc"

ours="$(c_files) $(test_files)"
verdict "log and reason calls have no cast" "$(grep -nE '\(void\)(log_(write|error|warning|notice|info|debug)|reason_set)\(' $ours)"
verdict "64-bit numbers are printed by PRIu64 and similar" "$(grep -nE '%[-0-9]*ll[dux]' $ours |
	grep -vE '^(common/base/log\.c|tests/unit/common/test_log\.c):')" # device numbers are not a 64-bit type of ours
verdict "causes of failures are passed as struct reason" "$(grep -nE 'char \*(why|cause|reason), size_t' $ours)"
# "join_find" in join.c, "db_client_add" in db_client.c; a header's inline functions are called elsewhere.
prefixed() {
	awk '
		{ module = FILENAME; sub(/.*\//, "", module); sub(/\.c$/, "", module) }
		/^static / && match($0, /[a-z_0-9]+(\[[^]]*\])?( = |;|\()/) {
			name = substr($0, RSTART)
			if (index(name, module "_") == 1) print FILENAME ":" FNR ": " $0
		}' "$@"
}
verdict "statics have no module prefix" "$(prefixed $(c_files | grep '\.c$'))"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'static int join_grow(struct join *join)\nstatic const char *join_names[3] = {0};\nstatic unsigned join_n;\nstatic bool is_over(void)\n' >"$work/join.c"
verdict "and one would be detected: a function, a table, a number" "$([ "$(prefixed "$work/join.c" | wc -l)" = 3 ] || prefixed "$work/join.c")"
