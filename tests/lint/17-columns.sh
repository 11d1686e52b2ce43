#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every heading of a table that a program prints or the page shows is defined in docs/guides/columns.md.
. "$(dirname "$0")/lint.inc"

# Lines of code that print a heading: words in quotes are its columns.
headings() {
	{
		grep -hA4 'TOP_HEADING, "%s %9s' client/top/top_view.c | grep -oE '"[^"%]+"'
		sed -n '/ titles\[\] = /,/;/p; /"phase"/p; /"scope"/p; /"name", "begin (UTC)"/,/;/p' client/recap/recap_table.c | grep -oE '"[^"%]+"'
		sed -n '/"mean", "+- sd"/,/;/p' client/compare/group_print.c | grep -oE '"[^"]+"' | grep -v '%9s'
		sed -n '/fputs("command,run/,/;/p' client/compare/group_print.c | grep -oE '[a-z_]+' | grep -vxE 'fputs|r|n|out'
		sed -n 's/.*printf("[^"]*%-[0-9]*s%10s.*", \(.*\));.*/\1/p' client/calibrate/client_calibrate.c | grep -oE '"[a-z]+"'
		sed -n 's/^	COLUMN(.*, "\([a-z_]*\)"),$/\1/p' common/document/csv.c
		grep -ohE 'title: "[^"]+"' server/page/*.js | sed 's/title: //'
		sed -n 's/.*const heads = \[\(.*\)\];/\1/p' server/page/app.js | grep -oE '"[^"]+"'
	} | tr -d '"' | sed 's/^ *//; s/ *$//' | grep -vE '^$|^[,\]|, \(lowest\)' | sort -u
}
undefined() {
	headings | while IFS= read -r name; do
		grep '^|' docs/guides/columns.md | cut -d '|' -f 2 | grep -qF -- "\`$name\`" || echo "$name"
	done
}
verdict "each column is defined" "$(undefined)"
verdict "and the headings are found ($(headings | wc -l))" "$([ "$(headings | wc -l)" -ge 60 ] || headings)"
