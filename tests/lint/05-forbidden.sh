#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Functions that have a better one beside them, and what the shared library must not do.
. "$(dirname "$0")/lint.inc"

# calls NAMES FILES...: lines that call one of the functions, comments left out
calls() {
	names=$1
	shift
	grep -nE "(^|[^A-Za-z0-9_>.\"])($names)[ ]?\(" "$@" /dev/null | grep -vE ':[0-9]+:[ \t]*(/?\*|//)'
}
verdict "no unbounded or unchecked functions" \
	"$(calls 'strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|alloca|tmpnam|mktemp|rand|system|popen' $(c_files))"
verdict "the shared library neither ends the process nor prints" \
	"$(calls 'exit|abort|perror|puts' $(c_files | grep -E '^common/' | grep -v '^common/process/duty\.c$'))"
# The MongoDB driver's 2.x deprecates them: it would not build where warnings are errors.
verdict "arrays of BSON by base/bson_driver.h, for both versions of the driver" \
	"$(calls 'bson_append_array_begin|BSON_APPEND_ARRAY_BEGIN' $(c_files) $(test_files))"
