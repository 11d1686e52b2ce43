#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Implements `make run`: installs missing packages, builds, starts sensor and server on a SQLite store, and shows this
# machine's containers and services with their watts until Ctrl-C or q; then both end cleanly.
#   WATTRIBUTE_STATE_DIR  folder of the store and the logs (root: /var/lib/wattribute, else ~/.local/state/wattribute)
#   WATTRIBUTE_LISTEN     address of the server (127.0.0.1:4443)
#   Other WATTRIBUTE_... settings are passed to the daemons unchanged (see docs/ and --help of each).
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
listen=${WATTRIBUTE_LISTEN:-127.0.0.1:4443}
if [ "$(id -u)" = 0 ]; then
	state=${WATTRIBUTE_STATE_DIR:-/var/lib/wattribute}
else
	state=${WATTRIBUTE_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/wattribute}
fi
unset WATTRIBUTE_STATE_DIR WATTRIBUTE_LISTEN
case $build in
/*) ;;
*) build=$PWD/$build ;;
esac

say() { printf 'run.sh: %s\n' "$*" >&2; }

# On other systems than Debian the list was printed; the installed packages may suffice.
scripts/install-deps.sh build || say "continuing with the installed packages"
say "building"
make -s -j"$(nproc 2>/dev/null || echo 2)" BUILD="$build" all

mkdir -p "$state"
# Held by the daemons, too: two sensors never write to one store.
exec 9>"$state/run.lock"
if ! flock -n 9; then
	say "sensor and server of another 'make run' already use $state: look at http://$listen, or stop that one first; to run a second pair: WATTRIBUTE_STATE_DIR=DIR WATTRIBUTE_LISTEN=127.0.0.1:PORT make run"
	exit 1
fi
port=$(printf '%04X' "${listen##*:}" 2>/dev/null) || port=
if [ -n "$port" ] && cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
	awk -v port=":$port" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }'; then
	say "another program already listens on port ${listen##*:}: stop it (a service: systemctl stop wattribute-server wattribute-sensor), or choose another port: WATTRIBUTE_LISTEN=127.0.0.1:PORT make run"
	exit 1
fi
sensor= server=
# end_daemon PID NAME LOG: asks it to end and waits; a failure is reported and makes this script fail.
result=0
end_daemon() {
	[ -n "$1" ] || return 0
	kill "$1" 2>/dev/null || true
	daemon_status=0
	wait "$1" || daemon_status=$?
	if [ $daemon_status != 0 ]; then
		say "$2 exited with status $daemon_status; the last lines of $3:"
		tail -n 5 "$3" >&2
		result=1
	fi
}
finish() {
	trap '' INT TERM HUP
	trap - EXIT
	end_daemon "$sensor" wattribute-sensor "$state/sensor.log"
	end_daemon "$server" wattribute-server "$state/server.log"
	if [ $result = 0 ] && [ -n "$server" ]; then say "sensor and server have stopped; their data are in $state"; fi
	exit $result
}
trap finish EXIT
trap 'exit 0' INT TERM HUP

store=sqlite:$state/wattribute.db
# In sessions of their own: Ctrl-C reaches only this script, which then stops them in order.
setsid "$build/wattribute-sensor" --store "$store" --state-dir "$state" \
	>"$state/sensor.log" 2>&1 </dev/null &
sensor=$!
setsid "$build/wattribute-server" --input "$store" --output "$store" --state-dir "$state" \
	--listen "$listen" >"$state/server.log" 2>&1 </dev/null &
server=$!

# Tenths of a second, plus the duration of each try.
tries=600
until "$build/wattribute" top --plain --count 1 --server "http://$listen" >/dev/null 2>&1; do
	for daemon in "$sensor sensor" "$server server"; do
		kill -0 "${daemon%% *}" 2>/dev/null || {
			result=1
			exit 1
		}
	done
	tries=$((tries - 1))
	if [ $tries = 0 ]; then
		say "the server does not answer at $listen; see $state/server.log"
		result=1
		exit 1
	fi
	sleep 0.1
done

# In the store of an earlier run this machine's last tick is old until the first new one.
name=${WATTRIBUTE_NAME:-$(uname -n)}
tries=100
while [ $tries != 0 ] &&
	"$build/wattribute" top --plain --count 1 --machine "${name%%.*}" --server "http://$listen" 2>/dev/null | grep -q 'no tick for'; do
	tries=$((tries - 1))
	sleep 0.1
done

if [ "$(id -u)" != 0 ]; then say "not root: counters and energy files may be inaccessible; 'sudo make run' measures more"; fi
"$build/wattribute" check 2>/dev/null | grep -E '^(chosen|note) ' >&2 || true
say "the same in a browser: http://$listen/"

# Run in the background with `wait`, so that a signal to this script alone ends it, too.
exec 3<&0
"$build/wattribute" top --server "http://$listen" <&3 &
top=$!
trap 'kill $top 2>/dev/null; exit 0' INT TERM HUP
wait "$top" || true
