#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Links in documents lead to existing files and headings; every page of docs/ is in its index; the citation has the
# version of the sources.
. "$(dirname "$0")/lint.inc"

pages="$(ls ./*.md) $(find docs -name '*.md')"
# The anchors of a page, as forges make them from its headings.
anchors() {
	grep '^#' "$1" | sed 's/^#* *//; s/`//g; s/[][]//g' | tr '[:upper:]' '[:lower:]' | sed "s/[^a-z0-9 _-]//g; s/ /-/g"
}
# Targets of links in a page, without code blocks.
links() {
	awk '/^    / || /^```/ { if (/^```/) code = !code; next } !code' "$1" | sed 's/`[^`]*`//g' | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//'
}
broken() {
	for page in $pages; do
		for link in $(links "$page"); do
			case $link in http://* | https://* | mailto:*) continue ;; esac
			path=${link%%#*}
			at=$page
			[ -z "$path" ] || at=$(dirname "$page")/$path
			if [ ! -e "$at" ]; then
				echo "$page: $link: no such file"
			elif [ "$link" != "$path" ] && ! anchors "$at" | grep -qx -- "${link#*#}"; then
				echo "$page: $link: no such heading"
			fi
		done
	done
}
verdict "links in documents have a target" "$(broken)"
verdict "every page of docs/ is in docs/README.md" "$(for page in docs/*.md; do
	[ "$page" = docs/README.md ] || grep -q "(${page#docs/})" docs/README.md || echo "$page"
done)"
verdict "CITATION.cff has this version" "$(grep -q "^version: $(sed -n 's/^VERSION *:*= *//p' Makefile)\$" CITATION.cff || grep '^version' CITATION.cff)"
