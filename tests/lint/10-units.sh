#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The systemd units are understood as they are meant, and stay as closed as they are. systemd-analyze answers 0 to keys
# that it does not know: what counts is that it says nothing.
. "$(dirname "$0")/lint.inc"

if ! command -v systemd-analyze >/dev/null; then
	echo "ok 1 - systemd units # SKIP needs systemd-analyze (Debian package systemd)"
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The programs need not be installed here.
for unit in dist/*.service; do
	sed "s,=/usr/sbin/wattribute-[a-z]*,=$(command -v true)," "$unit" >"$work/${unit##*/}"
done
verify() { systemd-analyze verify --man=no "$@" 2>&1; }
verdict "systemd understands every line of the units" "$(verify "$work"/*.service)"
sed 's/^NoNewPrivileges=/NoNewPriviledges=/' "$work/wattribute-server.service" >"$work/broken.service"
verdict "and would say it of a key that it does not know" "$(verify "$work/broken.service" | grep -q NoNewPriviledges || echo "it says nothing")"
# closed UNIT TENTHS: its exposure at most; 100 is open to all
closed() {
	systemd-analyze security --no-pager --offline=true --threshold="$2" "dist/$1" >"$work/out" 2>&1 || tail -n 1 "$work/out"
}
# Three tenths of it are the right to become nobody, which is worth more than an empty set: root reads much without any.
verdict "the server's exposure is 2.7 or less" "$(closed wattribute-server.service 27)"
verdict "the sensor's exposure is 5.6 or less" "$(closed wattribute-sensor.service 56)"
