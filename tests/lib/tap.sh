# SPDX-License-Identifier: Apache-2.0
# TAP for test scripts, to be sourced: counting, skipping with a reason, waiting with a limit, cleaning up at any
# kind of exit. Knows nothing about the tests.
#
#   . "$(dirname "$0")/../../lib/tap.sh"
#   ok "name" command args...      is "$got" "$want" "name"      like "$text" 'egrep pattern' "name"
#   unlike "$text" 'egrep pattern' "name"     (an empty text fails: nothing was checked)
#   skip "name" "reason"           skip_all "reason" (ends)      note "text"      bail "text" (ends)
#   on_exit 'command'              last in, first out            wait_for SECONDS command args...   (of an idle machine)
#   done_testing                   prints the plan; the last line of a script

TOP=${TOP:-$(cd "$(dirname "$0")" && while [ ! -e Makefile ] && [ "$PWD" != / ]; do cd ..; done && pwd)}
BUILD=${BUILD:-$TOP/build}
tap_count=0
tap_failed=0
tap_name=$(basename "$0")
tap_ended=
tap_began=$(date +%s)
TAP_DIR=$(mktemp -d "${TMPDIR:-/tmp}/wattribute-test.XXXXXX")
: >"$TAP_DIR/on-exit"

tap_end() {
	tap_status=$?
	trap - EXIT
	trap '' INT TERM HUP
	# Last in, first out; a failing or hanging command does not keep the others from running.
	sed '1!G;h;$!d' "$TAP_DIR/on-exit" >"$TAP_DIR/on-exit.reversed"
	while IFS= read -r tap_command; do
		(eval "$tap_command") </dev/null >>"$TAP_DIR/on-exit.log" 2>&1 || true
	done <"$TAP_DIR/on-exit.reversed"
	if [ -z "$tap_ended" ] || [ $tap_failed != 0 ]; then tap_show_logs; fi
	if [ -z "$tap_ended" ]; then
		echo "not ok $((tap_count + 1)) - $tap_name reached its end # status $tap_status"
		tap_status=1
	elif [ $tap_failed != 0 ]; then
		tap_status=1
	fi
	if [ -n "${TAP_KEEP:-}" ]; then echo "# kept: $TAP_DIR"; else rm -rf "$TAP_DIR"; fi
	exit $tap_status
}
# The output of the programs under test, after a failure.
tap_show_logs() {
	for tap_log in "$TAP_DIR"/*.log "$TAP_DIR"/*/*.log; do
		[ -s "$tap_log" ] || continue
		echo "# --- ${tap_log#"$TAP_DIR"/}, the end of $(wc -l <"$tap_log") lines:"
		tail -n 12 "$tap_log" | cut -c 1-300 | sed 's/^/#   /'
	done
}
trap tap_end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

on_exit() { printf '%s\n' "$1" >>"$TAP_DIR/on-exit"; }
note() { printf '%s\n' "$*" | sed 's/^/# /'; }

tap_pass() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}
# tap_fail NAME [WHY]: a summary may show only this line, so it includes the reason.
tap_fail() {
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1${2:+ ($(printf %s "$2" | tr -d '#' | tr -c ' -~' ' ' | cut -c 1-160))}"
	return 1
}

# The command's output is shown as notes when it fails.
ok() {
	tap_what=$1
	shift
	if "$@" >"$TAP_DIR/ok.out" 2>&1; then
		tap_pass "$tap_what"
	else
		note "failed ($?): $*"
		tail -n 15 "$TAP_DIR/ok.out" | sed 's/^/#   /'
		tap_fail "$tap_what" "$(tail -n 1 "$TAP_DIR/ok.out")"
	fi
}
is() {
	if [ "$1" = "$2" ]; then
		tap_pass "$3"
	else
		note "got '$1', expected '$2'"
		tap_fail "$3" "got '$1', expected '$2'"
	fi
}
like() {
	if printf '%s\n' "$1" | grep -E -q -e "$2"; then
		tap_pass "$3"
	else
		note "expected a line like '$2' in:"
		printf '%s\n' "$1" | tail -n 15 | sed 's/^/#   /'
		tap_fail "$3" "no line like '$2', the last one: $(printf '%s\n' "$1" | tail -n 1)"
	fi
}
unlike() {
	if [ -z "$1" ]; then
		tap_fail "$3" 'nothing to look at'
	elif printf '%s\n' "$1" | grep -E -e "$2" >"$TAP_DIR/unlike.out"; then
		note "expected no line like '$2', but:"
		tail -n 15 "$TAP_DIR/unlike.out" | sed 's/^/#   /'
		tap_fail "$3" "$(tail -n 1 "$TAP_DIR/unlike.out")"
	else
		tap_pass "$3"
	fi
}
skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}
skip_all() {
	skip "$tap_name" "$1"
	tap_ended=1
	exit 0
}
bail() {
	note "$1"
	tap_fail "$tap_name can run" || true
	tap_ended=1
	exit 1
}
done_testing() {
	echo "1..$tap_count"
	tap_ended=1
	exit 0
}

# Tries every fifth of a second; 1 on timeout: the seconds that an idle machine may need, times $TAP_PATIENCE. No test
# may fail because of other load. But a script must end within the time that run.sh gives it, with all of its
# results: after a long wait that failed, or late in that time, waits are short.
wait_for() {
	tap_tries=$(($1 * 5 * ${TAP_PATIENCE:-6}))
	tap_all_tries=$tap_tries
	tap_until=
	shift
	until "$@" >/dev/null 2>&1; do
		tap_tries=$((tap_tries - 1))
		if [ -z "$tap_until" ] && tap_is_impatient; then tap_until=$(($(date +%s) + TAP_SHORT_S)); fi
		if [ $tap_tries -le 0 ] || { [ -n "$tap_until" ] && [ "$(date +%s)" -ge "$tap_until" ]; }; then
			if [ $tap_all_tries -gt $((10 * TAP_SHORT_S)) ]; then : >"$TAP_DIR/impatient"; fi
			return 1
		fi
		sleep 0.2
	done
}
TAP_SHORT_S=5
# In a file, as wait_for may run in a subshell.
tap_is_impatient() {
	[ -e "$TAP_DIR/impatient" ] || [ $(($(date +%s) - tap_began)) -ge $((${TEST_TIMEOUT:-900} * 2 / 3)) ]
}

# stop_process PID [SECONDS]: asks it to end, waits, then kills. For on_exit.
stop_process() {
	kill "$1" 2>/dev/null || return 0
	tap_left=$((${2:-30} * 10))
	while kill -0 "$1" 2>/dev/null; do
		tap_left=$((tap_left - 1))
		if [ $tap_left -le 0 ]; then
			kill -9 "$1" 2>/dev/null
			return 0
		fi
		sleep 0.1
	done
}

need_root() { [ "$(id -u)" = 0 ] || skip_all "needs root (it starts containers and opens counters); this is uid $(id -u)"; }
need_program() {
	for tap_program; do
		command -v "$tap_program" >/dev/null || skip_all "needs the program '$tap_program', which is not installed"
	done
}
# A free TCP port on the loopback, and none of the documented ones, which other tests may need.
free_port() {
	tap_port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
	while tap_port_used "$tap_port" || { [ "$tap_port" -ge 27000 ] && [ "$tap_port" -le 27100 ]; }; do
		tap_port=$((tap_port + 1))
	done
	echo "$tap_port"
}
tap_port_used() {
	tap_hex=$(printf '%04X' "$1")
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$tap_hex" '$4 == "0A" && $2 ~ ":" port "$" { found = 1 } END { exit !found }'
}
