#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One rule for every program: its man page lists exactly the options of its table (designated rows of struct config_row), with
# the same letters.
. "$(dirname "$0")/lint.inc"

# "-n --name" or "--name", one a line, sorted, from the rows of a table; a row may have its letter from client.h (CLIENT_ROW_…).
options_of_table() { # FILE
	awk 'NR == FNR { if ($1 == "#define") macro = $2; if (match($0, /\.letter = .../)) letter[macro] = substr($0, RSTART, RLENGTH); next }
		{ for (macro in letter) if (match($0, macro "[,)]")) sub(macro, letter[macro]); print }' client/client.h "$1" |
		tr '\n\t' '  ' | grep -o -E "(\{ *\.name = |OPTION\( *)\"[a-z0-9-]+\",( *[a-z_]+(\[[A-Z_]+\])?,)?( *\.letter = '.')?" |
		sed "s/[^\"]*\"\([a-z0-9-]*\)\".*\.letter = '\(.\)'/-\2 --\1/; s/[^\"]*\"\([a-z0-9-]*\)\".*/--\1/" | sort
}
# The same from `.It` lines on standard input; options that every program has are left out.
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

# Each table with its page; a page of several commands has a part for each: `.It Cm COMMAND`.
known=
for file in $(grep -l 'struct config_row [a-z_]*\[[A-Z_]*\] = {' $(c_files)); do
	known="$known $file"
	table=$(options_of_table "$file")
	case $file in
	sensor/*) compare sensor "$table" "$(options_of_page <man/wattribute-sensor.8)" ;;
	server/*) compare server "$table" "$(options_of_page <man/wattribute-server.8)" ;;
	client/*)
		word=${file##*client_}
		word=${word%.c}
		part=$(awk -v word="$word" '/^\.It Cm / { on = $3 == word } /^\.Sh / { on = 0 } on' man/wattribute.1)
		compare "client $word" "$table" "$(printf '%s\n' "$part" | options_of_page)"
		;;
	*) verdict "$file: a page is known for its options" "add it to $0" ;;
	esac
done
verdict "option tables are found" "$([ "$(echo $known | wc -w)" -ge 7 ] || echo "only:$known")"
verdict "option rows are designated" "$(grep -nE '^	\{"[a-z-]+", (0|.[a-zA-Z].), CONFIG_' $(c_files))"

if command -v mandoc >/dev/null; then
	verdict "mandoc finds nothing" "$(mandoc -T lint -W warning man/*.[18])"
fi
