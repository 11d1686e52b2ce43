#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Functions with a better replacement, calls that the shared library must not make, and units that start before those they want.
. "$(dirname "$0")/lint.inc"

# calls NAMES FILES...: lines that call one of the functions, without comments
calls() {
	names=$1
	shift
	grep -nE "(^|[^A-Za-z0-9_>.\"])($names)[ ]?\(" "$@" /dev/null | grep -vE ':[0-9]+:[ \t]*(/?\*|//)'
}
verdict "no unbounded or unchecked functions" \
	"$(calls 'strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|alloca|tmpnam|mktemp|rand|system|popen' $(c_files))"
verdict "the shared library neither ends the process nor prints" \
	"$(calls 'exit|abort|perror|puts' $(c_files | grep -E '^common/' | grep -v '^common/process/duty\.c$'))"
# Deprecated by 2.x of the MongoDB driver: it would not build with warnings as errors.
verdict "BSON arrays are written by base/bson_driver.h, for both versions of the driver" \
	"$(calls 'bson_append_array_begin|BSON_APPEND_ARRAY_BEGIN' $(c_files) $(test_files))"
verdict "random unit tests print their seed and obey WATTRIBUTE_SEED, by unit/random_seed.h" \
	"$(calls 'srand|srandom|srand48' $(test_files | grep '^tests/unit/') | grep -v 'random_begin()')$(
	grep -ln 'getenv("[A-Z_]*SEED")' $(test_files | grep '^tests/unit/') | grep -v '/random_seed\.h$')"
# A unit that wants another one, and is not ordered after it, starts in parallel with it: too early.
unordered() {
	find dist debian docker docs -type f | xargs grep -lE '^(Wants|Requires|BindsTo|Requisite)=' | while read -r unit; do
		for wanted in $(sed -nE 's/^(Wants|Requires|BindsTo|Requisite)=//p' "$unit"); do
			sed -nE 's/^(After|Before)=//p' "$unit" | tr ' ' '\n' | grep -qxF -- "$wanted" || echo "$unit: wants $wanted, and no After= has it"
		done
	done
}
verdict "units are ordered after the units that they want" "$(unordered)"
