#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The reference of all metrics as a Markdown table, from a server started for it: the part of docs/metrics.md between
# its marks. `scripts/metrics-doc.sh --update` writes it there; a lint compares the two.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
chmod 755 "$work"
: >"$work/log" # the server may be slower than the first check
"$build/wattribute-server" --uri null: --listen 127.0.0.1:0 --state-dir "$work" >"$work/log" 2>&1 &
server=$!
port=
tries=300
while [ -z "$port" ] && [ $tries -gt 0 ]; do
	port=$(sed -n 's/.*listening on .*, port \([0-9]*\)$/\1/p' "$work/log")
	[ -n "$port" ] || sleep 0.1
	tries=$((tries - 1))
done
[ -n "$port" ] || { cat "$work/log" >&2; exit 1; }
curl -sf "http://127.0.0.1:$port/metrics" >"$work/metrics"
{
	printf '| name | type | meaning |\n| --- | --- | --- |\n'
	sed -n 's/^# HELP \([^ ]*\) /\1 /p' "$work/metrics" | while read -r name help; do
		type=$(sed -n "s/^# TYPE $name //p" "$work/metrics")
		printf "| \`%s\` | %s | %s |\n" "$name" "$type" "$(printf '%s' "$help" | sed 's/|/\\|/g')"
	done
} >"$work/table"
if [ "${1:-}" = --update ]; then
	awk -v table="$work/table" '
		/^<!-- metrics: / { print; while ((getline line <table) > 0) print line; skip = 1; next }
		/^<!-- end of metrics -->/ { skip = 0 }
		!skip' docs/metrics.md >"$work/new"
	cat "$work/new" >docs/metrics.md
else
	cat "$work/table"
fi
