#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who may include whom: sensor, server and client only themselves and include/; common itself and include/; include
# itself. The daemons meet in documents, never in code.
. "$(dirname "$0")/lint.inc"

complaints=$(for file in $(c_files); do
	dir=${file%/*}
	top=${dir%%/*}
	sed -n 's/^#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$file" | while read -r name; do
		case $name in
		*..*) echo "$file: includes \"$name\": no paths upwards" ;;
		*.skel.h) ;; # made by bpftool at build time
		*) [ -e "$top/$name" ] || [ -e "include/$name" ] || { [ "$top" = sim ] && [ -e "sensor/$name" ]; } || { [ "$top" != sensor ] && [ "${name#sim/}" != "$name" ] && [ -e "$name" ]; } ||
			echo "$file: includes \"$name\", which is neither in $top/ nor in include/" ;;
		esac
	done
done)
verdict "include directions" "$complaints"

complaints=$(for file in $(find common sensor server client sim -name '*.c' ! -name '*.bpf.c' | sort); do
	own=$(basename "$file" .c).h
	[ -e "${file%.c}.h" ] || [ -n "$(find include -name "$own")" ] || continue
	first=$(sed -n 's/^#[ \t]*include[ \t]*["<]\([^">]*\)[">].*/\1/p' "$file" | head -n 1)
	[ "${first##*/}" = "$own" ] || [ "${first%_private.h}" != "$first" ] || grep -qs "include[ \t]*\".*$own\"" "${file%/*}/${first##*/}" || # a private header may bring it
		echo "$file: includes \"$first\" before its own \"$own\""
done)
verdict "own header first" "$complaints"
verdict "common/ does not log" "$(grep -lE 'include[ \t]*"base/log\.h"' $(find common -name '*.c') | grep -v '^common/base/log\.c$')"
