#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# systemd understands the units as intended, and they stay as restricted as they are. systemd-analyze exits with 0 on
# unknown keys: the test is that it prints nothing.
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
verdict "and would report an unknown key" "$(verify "$work/broken.service" | grep -q NoNewPriviledges || echo "it says nothing")"
# closed UNIT TENTHS: the maximum of its exposure; 100 is fully open
closed() {
	systemd-analyze security --no-pager --offline=true --threshold="$2" "dist/$1" >"$work/out" 2>&1 || tail -n 1 "$work/out"
}
verdict "the server's exposure is 2.0 or less" "$(closed wattribute-server.service 20)"
# A drop-in is read with its unit.
drop_in="$work/gpu/wattribute-sensor.service.d"
mkdir -p "$drop_in"
cp "$work/wattribute-sensor.service" "$work/gpu/"
for kind in nvidia drm; do
	cp "dist/gpu-$kind.conf" "$drop_in/gpu.conf"
	verdict "systemd understands every line of gpu-$kind.conf" "$(verify "$work/gpu/wattribute-sensor.service")"
done
sed -i 's/^AmbientCapabilities=/AmbientCapability=/' "$drop_in/gpu.conf"
verdict "and checks the drop-in, too" "$(verify "$work/gpu/wattribute-sensor.service" | grep -q AmbientCapability || echo "it says nothing")"
verdict "the sensor's exposure is 4.0 or less" "$(closed wattribute-sensor.service 40)"
# Our processes install seccomp filters of their own, and seccomp(2) is in no set before systemd 254: ExecStart would be killed.
for unit in dist/*.service; do
	verdict "$unit allows what its processes need" "$(grep -q '^SystemCallFilter=@system-service seccomp$' "$unit" || echo 'no seccomp(2)')"
	verdict "$unit is not restarted with invalid options" "$(grep -q '^RestartPreventExitStatus=2$' "$unit" || echo 'RestartPreventExitStatus=2 is missing')"
done
