#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Energy by the kernel's own interfaces: a test module registers a `power` PMU and powercap zones in a guest, two packages with
# known energy; sensors measure it while it wraps, fails, restarts, is unloaded and reloaded, and while a package appears late.
# usage: check.sh NAME (ring.sh names; amd64 only). Prints TAP. Skipped with the reason if kernel, headers or QEMU 10 are unavailable.
set -u
. "$(dirname "$0")/../../lib/tap.sh"
name=${1:?usage: check.sh NAME}
here=$TOP/tests/kernel
need_program python3
case $name in *-amd64) ;; *) skip_all "the module is built for amd64 only" ;; esac
reason=$("$here/ring.sh" install 2>&1) || skip_all "$reason"
reason=$("$here/ring.sh" fetch "$name" 2>&1 >/dev/null) || skip_all "$reason"
reason=$("$here/power/build.sh" "$name" "$TAP_DIR/module" 2>&1) || skip_all "$reason"
# Since Linux 6.15 events can lose their PMU.
loose=$(printf '%s\n' 6.15 "${name%-amd64}" | sort -V | awk 'NR == 1 { print $1 == "6.15" }')
mkdir -p "$TAP_DIR/overlay"
cp "$TAP_DIR/module/power.ko" "$TAP_DIR/overlay/"
cp "$here/power/guest.sh" "$TAP_DIR/overlay/guest"
echo "LOOSE=$loose exec sh /guest" >"$TAP_DIR/overlay/job"
ok 'a root file system with the sensor is built' "$here/ring.sh" root "$TAP_DIR/root" "$BUILD/wattribute-sensor" || done_testing
RING_CPUS=4,sockets=2,cores=2,threads=1 RING_APPEND=no_timer_check RING_SECONDS=${RING_SECONDS:-840} "$here/ring.sh" boot "$name" "$TAP_DIR/root" \
	"$TAP_DIR/overlay" >"$TAP_DIR/console" 2>&1
is $? 0 "$name: the guest ran to its end"
[ -z "${RING_KEEP:-}" ] || cp "$TAP_DIR/console" "$RING_KEEP/power-$name"
# shellcheck disable=SC2046
python3 "$here/power/judge.py" "$TAP_DIR/console" $([ "$loose" = 0 ] || echo loose) >"$TAP_DIR/verdicts" 2>"$TAP_DIR/judge.log"
is $? 0 'every scenario could be judged' || sed 's/^/# /' "$TAP_DIR/judge.log"
while read -r line; do
	case $line in
	'ok '*) tap_pass "$name: ${line#ok }" ;;
	'not ok '*) tap_fail "$name: ${line#not ok }" ;;
	*) echo "$line" ;;
	esac
done <"$TAP_DIR/verdicts"
done_testing
