#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Files of at most 400 lines, functions of at most 50 (between their braces, which stand in column 1), lines of 130.
. "$(dirname "$0")/lint.inc"

verdict "files have at most 400 lines" "$(wc -l $(c_files) | awk '$2 != "total" && $1 > 400 { print $2 ": " $1 " lines" }')"
verdict "functions have at most 50 lines" "$(awk '
	FNR == 1 { start = 0 }
	/^\{/ { start = FNR; name = last }
	/^\}/ && start {
		if (FNR - start - 1 > 50)
			print FILENAME ":" start ": " FNR - start - 1 " lines: " name
		start = 0
	}
	{ if ($0 ~ /^[a-z_].*\(/) last = $0 }' $(c_files))"
verdict "lines have at most 130 columns" "$(awk '
	length($0) > 40 {
		line = $0
		while ((at = index(line, "\t")) > 0)
			line = substr(line, 1, at - 1) substr("        ", 1, 8 - (at - 1) % 8) substr(line, at + 1)
		if (length(line) > 130)
			print FILENAME ":" FNR ": " length(line) " columns"
	}' $(c_files))"
