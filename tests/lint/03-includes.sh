#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Which folder may include which: the table in includes.table, downward only. The daemons share documents, never
# code: sensor, server and client include only themselves and include/; common itself and include/.
. "$(dirname "$0")/lint.inc"

table=tests/lint/includes.table

# Reads the table, then files; complains about includes that the table does not allow, and about unneeded rows.
complaints=$(awk -v headers="$(find include common sensor server client sim -name '*.h' | tr '\n' ' ')" '
	function folder(path) {
		if (path ~ /\/main\.c$/) return path
		sub(/^(include|common)\//, "", path)
		sub(/\/[^\/]*$/, "", path)
		return path
	}
	# The folder of a header that this file names; "" if it is out of reach.
	function reach(file, name,  top) {
		top = file; sub(/\/.*/, "", top)
		if ((top "/" name) in known) return top "/" name
		if (("include/" name) in known) return "include/" name
		if (top == "sim" && ("sensor/" name) in known) return "sensor/" name
		if (name ~ /^sim\// && name in known) return name
		return ""
	}
	BEGIN { n = split(headers, list, " "); for (i = 1; i <= n; i++) known[list[i]] = 1 }
	FILENAME == table && /^except / { except[$2 " " $3] = 1; next }
	FILENAME == table && /^[a-z]/ {
		row = $1; sub(/:$/, "", row)
		for (i = 2; i <= NF; i++) {
			if (!($i in rows)) print FILENAME ": " row " includes upward: " $i
			may[row " " $i] = 1
		}
		rows[row] = 1
		next
	}
	FILENAME == table { next }
	/^#[ \t]*include[ \t]*"/ {
		name = $0; sub(/^[^"]*"/, "", name); sub(/".*/, "", name)
		if (name ~ /\.skel\.h$/) next # made by bpftool at build time
		if (name ~ /\.\./) { print FILENAME ": includes \"" name "\": no paths upwards"; next }
		at = reach(FILENAME, name)
		if (at == "") { print FILENAME ": includes \"" name "\", which is in no folder that it may see"; next }
		from = folder(FILENAME); to = folder(at)
		if (!(from in rows)) print FILENAME ": its folder " from " has no row in " table
		if (from != to && !((from " " to) in may)) {
			if ((FILENAME " " name) in except) used[FILENAME " " name] = 1
			else print FILENAME ": " from " may not include " to " (\"" name "\")"
		}
	}
	END { for (x in except) if (!(x in used)) print table ": this exception is no longer needed: " x }
' table="$table" "$table" $(c_files))
verdict "includes follow the allowed directions" "$complaints"

complaints=$(for file in $(find common sensor server client sim -name '*.c' ! -name '*.bpf.c' | sort); do
	own=$(basename "$file" .c).h
	[ -e "${file%.c}.h" ] || [ -n "$(find include -name "$own")" ] || continue
	first=$(sed -n 's/^#[ \t]*include[ \t]*["<]\([^">]*\)[">].*/\1/p' "$file" | head -n 1)
	[ "${first##*/}" = "$own" ] || [ "${first%_private.h}" != "$first" ] || grep -qs "include[ \t]*\".*$own\"" "${file%/*}/${first##*/}" || # a private header may bring it
		echo "$file: includes \"$first\" before its own \"$own\""
done)
verdict "each source includes its own header first" "$complaints"
verdict "common/ does not log" "$(grep -lE 'include[ \t]*"base/log\.h"' $(find common -name '*.c') | grep -v '^common/base/log\.c$')"
