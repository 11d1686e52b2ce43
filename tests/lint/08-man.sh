#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The man pages of sensor and client list the options of their tables, with the same letters: none is missing, none is
# too much. (The server's: 09-man-server.sh.)
. "$(dirname "$0")/lint.inc"

# "-n --name" or "--name", one a line, sorted, from `.It` lines on standard input; what every program has is left out.
options_of_page() {
	sed -n 's/^\.It \(.*Fl .*\)/\1/p' | sed 's/ , Fl/\
Fl/g' | awk '
		{ gsub(/Fl Fl |Fl -/, "--"); gsub(/Fl /, "-"); option = $1 }
		option ~ /^-[a-zA-Z]$/ { letter = option " "; next }
		option ~ /^--/ { print letter option; letter = "" }' |
		grep -v -x -e '.*--config-file' -e '--check' -e '--print-config' -e '.*--help' -e '.*--version' | sort
}
compare() { # NAME TABLE PAGE
	verdict "$1: the table has options" "$([ -n "$2" ] || echo none)"
	verdict "$1: the man page lists its options" "$(awk -v table="$2" -v page="$3" 'BEGIN {
		n = split(table, t, "\n"); m = split(page, p, "\n")
		for (i = 1; i <= n; i++) in_table[t[i]] = 1
		for (i = 1; i <= m; i++) in_page[p[i]] = 1
		for (i in in_table) if (!(i in in_page)) print "not in the page: " i
		for (i in in_page) if (!(i in in_table)) print "only in the page: " i
	}')"
}

table=$(sed -n "s/^	{\"\([a-z-]*\)\", '\(.\)', CONFIG_.*/-\2 --\1/p; s/^	{\"\([a-z-]*\)\", 0, CONFIG_.*/--\1/p" \
	sensor/config/sensor_config.c | sort)
compare sensor "$table" "$(options_of_page <man/wattribute-sensor.8)"

for word in run check top recap export; do
	table=$(tr -d '\n' <"$(find client -name client_$word.c)" | grep -o "\.name = \"[a-z-]*\",[[:space:]]*\.letter = '.'" |
		sed "s/\.name = \"\([a-z-]*\)\",[[:space:]]*\.letter = '\(.\)'/-\2 --\1/" | sort)
	part=$(awk -v word="$word" '/^\.It Cm / { on = $3 == word } /^\.Sh / { on = 0 } on' man/wattribute.1)
	compare "client $word" "$table" "$(printf '%s\n' "$part" | options_of_page)"
done

if command -v mandoc >/dev/null; then
	verdict "mandoc finds nothing" "$(mandoc -T lint -W warning man/wattribute-sensor.8 man/wattribute.1)"
fi
