#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# man/wattribute-server.8 lists the options of the server's table: none is missing, none is too much.
. "$(dirname "$0")/lint.inc"

table=$(sed -n '/server_option_rows\[/,$s/.*\.name = "\([a-z-]*\)".*/\1/p' server/config/server_options.c | sort)
page=$(sed -n 's/^\.It .*Fl Fl \([a-z-]*\).*/\1/p' man/wattribute-server.8 |
	grep -v -x -e config-file -e check -e print-config -e help -e version | sort)
differences=$(printf '%s\n' "$table" >"${TMPDIR:-/tmp}/lint.$$" && printf '%s\n' "$page" | diff "${TMPDIR:-/tmp}/lint.$$" - | grep '^[<>]')
rm -f "${TMPDIR:-/tmp}/lint.$$"
verdict "the table has options" "$([ "$(printf '%s\n' "$table" | wc -l)" -gt 20 ] || echo "only: $table")"
verdict "the server's man page lists its options" "$differences"
if command -v mandoc >/dev/null; then
	verdict "mandoc finds nothing" "$(mandoc -Tlint -W warning man/wattribute-server.8)"
fi
