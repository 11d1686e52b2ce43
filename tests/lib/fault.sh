# SPDX-License-Identifier: Apache-2.0
# Shared by the fault scripts, to be sourced after tap.sh: a sensor and a server on this machine with short
# ticks, and a count of the store's content afterwards. Needs venv.sh as well.
#
#   fault_begin                        programs, Python with bson, a folder that all users may enter; cd there
#   sensor_start NAME STORE [ARGS...]  $sensor; log: sensor-NAME.log
#   server_start STORE [ARGS...]       $server, $url; log: server.log
#   targets_start N                    services on this machine to measure; needs root
#   process_of PID DUTY                the id of PID's child with this duty
#   audit STORE NAME                   reads the store; then  audited KEY  prints a value
#   metric NAME                        sum of the samples of that name in the server's /metrics
#   end_well PID NAME                  SIGTERM, waits, tests the status
#   end_lossy PID NAME                 the same, but reports may have been lost

. "$TOP/tests/lib/venv.sh"

fault_begin() {
	need_program sqlite3
	need_program curl
	need_venv pymongo pymongo==4.10.1
	for fault_program in wattribute-sensor wattribute-server; do
		[ -x "$BUILD/$fault_program" ] || bail "$BUILD/$fault_program is not built"
	done
	fault_seed=${WATTRIBUTE_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
	RANDOM=$fault_seed
	note "WATTRIBUTE_SEED=$fault_seed"
	chmod 755 "$TAP_DIR"
	cd "$TAP_DIR" || bail 'no folder'
}

# Only the script's own targets: other work on this machine must not change the counts.
sensor_start() {
	fault_name=$1 fault_store=$2
	shift 2
	"$BUILD/wattribute-sensor" -n "$fault_name" -U "$fault_store" --state-dir "$TAP_DIR/state" -f 100ms --energy estimate \
		--tdp 50 --activity cpustat --store-timeout 1s --include "*wt-$$-*" "$@" >>"sensor-$fault_name.log" 2>&1 &
	sensor=$!
	on_exit "stop_process $sensor"
}

server_start() {
	fault_store=$1
	fault_port=${fault_port:-$(free_port)}
	url=http://127.0.0.1:$fault_port
	shift
	"$BUILD/wattribute-server" -U "$fault_store" --listen "127.0.0.1:$fault_port" --poll 20ms --discover 100ms --save 300ms \
		"$@" >>server.log 2>&1 &
	server=$!
	on_exit "stop_process $server"
}

process_of() {
	for fault_pid in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
		tr '\0' '\n' <"/proc/$fault_pid/environ" 2>/dev/null | grep -q "^WATTRIBUTE_DUTY=$2\$" && echo "$fault_pid" && return 0
	done
	return 1
}

# Services with a process that does little work, so that ticks have more than one report.
targets_start() {
	fault_root=/sys/fs/cgroup
	if [ -d /sys/fs/cgroup/unified ]; then fault_root=/sys/fs/cgroup/unified; fi
	[ -d "$fault_root/system.slice" ] || on_exit "rmdir $fault_root/system.slice"
	for fault_target in $(seq "$1"); do
		fault_group=$fault_root/system.slice/wt-$$-$fault_target.service
		mkdir -p "$fault_group" || return 1
		on_exit "rmdir $fault_group"
		sh -c 'echo $$ >"$0/cgroup.procs" && exec timeout 890 sh -c "while :; do sleep 0.02; done"' "$fault_group" &
		on_exit "stop_process $!; sleep 0.1"
	done
}

audit() { "$PYTHON" "$TOP/tests/lib/audit.py" "$@" >audit.txt; }
audited() { sed -n "s/^$1 //p" audit.txt; }
show_audit() { paste -s -d ' ' audit.txt | sed 's/^/# /'; }

metric() { curl -s --max-time 5 "$url/metrics" | awk -v name="$1" '$1 == name || index($1, name "{") == 1 { sum += $2 } END { if (NR > 0) printf "%.15g", sum; else printf "no answer" }'; }

# Reports and power reports of the store: STORE NAME; waits until the server has processed every tick.
power_is_complete() { [ "$("$PYTHON" "$TOP/tests/lib/audit.py" "$1" "$2" power_missing)" = 0 ]; }

# Of the server at URL: role_of URL prints writer or standby; writes URL
role_of() { curl -s --max-time 5 "$1/healthz" | sed -n 's/.*"role": *"\([a-z]*\)".*/\1/p'; }
writes() { [ "$(role_of "$1")" = writer ]; }

end_well() {
	kill -TERM "$1"
	wait "$1"
	is $? 0 "$2 exits with 0"
}

end_lossy() {
	kill -TERM "$1"
	wait "$1"
	like $? '^[03]$' "$2 exits with 0, or with 3 if reports were lost"
}

# Invariants of every store after any fault: STORE NAME
nothing_amiss() {
	ok 'power reports for every tick' wait_for 15 power_is_complete "$1" "$2"
	audit "$1" "$2"
	show_audit
	is "$(audited twice) $(audited power_twice)" '0 0' 'nothing is stored twice'
	is "$(audited incomplete) $(audited headless)" '0 0' 'every tick is complete'
	is "$(audited power_missing) $(audited power_extra)" '0 0' 'every tick has its power reports, no other has any'
	is "$(audited unequal)" 0 'their sums equal the measured power'
}
