#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Files have at most 600 lines, functions at most 50 (between their braces, which are in column 1), folders at most 20 files.
# Line length is left to clang-format (11-format.sh).
. "$(dirname "$0")/lint.inc"

verdict "files have at most 600 lines" "$(wc -l $(c_files) | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }')"
verdict "functions have at most 50 lines" "$(awk '
	FNR == 1 { start = 0 }
	/^\{/ { start = FNR; name = last }
	/^\}/ && start {
		if (FNR - start - 1 > 50)
			print FILENAME ":" start ": " FNR - start - 1 " lines: " name
		start = 0
	}
	{ if ($0 ~ /^[a-z_].*\(/) last = $0 }' $(c_files))"
# Data folders have as many files as there are cases.
verdict "folders have at most 20 files" "$(find . \( -name .git -o -name 'build*' -o -path ./tests/fuzz/corpus -o -name data -o -name scenarios \
	-o -name node_modules -o -name __pycache__ \) -prune -o -type f -printf '%h\n' | sort | uniq -c | awk '$1 > 20 { print $2 ": " $1 " files" }')"
verdict "Python files have at most 400 lines" "$(find . \( -name .git -o -name 'build*' -o -name node_modules -o -name vendor \) -prune -o -name '*.py' \
	-exec wc -l {} + | awk '$2 != "total" && $1 > 400 { print $2 ": " $1 " lines" }')"
