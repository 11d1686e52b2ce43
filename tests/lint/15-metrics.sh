#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/metrics.md lists the metrics that the built server serves; rules and dashboard use no others.
. "$(dirname "$0")/lint.inc"

build=${BUILD:-$PWD/build}
if ! command -v curl >/dev/null || ! make -s -j"$(nproc)" BUILD="$build" "$build/wattribute-server" >/dev/null 2>&1; then
	echo "ok 1 - docs/metrics.md is what scripts/metrics-doc.sh makes # SKIP needs curl, and what the server is built with"
else
	table=$(scripts/metrics-doc.sh 2>&1)
	verdict "docs/metrics.md matches the output of scripts/metrics-doc.sh" "$(
		printf '%s\n' "$table" | diff - "$(sed -n '/^<!-- metrics: /,/^<!-- end of metrics/p' docs/metrics.md |
			grep -v '^<!--' >/tmp/wattribute-lint.$$ && echo /tmp/wattribute-lint.$$)" | head -20
		rm -f /tmp/wattribute-lint.$$
	)"
	verdict "rules and dashboard use metrics that exist" "$(
		grep -ohE '\b(wattribute|process)_[a-z0-9_]+' dist/prometheus/rules.yml dist/grafana/wattribute.json | sort -u |
			while read -r name; do
				case $name in
				wattribute_watts | wattribute_active_watts) ;; # ends of recorded names
				*) printf '%s\n' "$table" | grep -q "^| \`$name\` " || echo "$name" ;;
				esac
			done
	)"
fi
