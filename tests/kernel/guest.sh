#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests in a guest, as TAP: ring.sh's job, run as root with nothing else on the machine. /parts lists the parts to run;
# check.sh chooses them and judges. Also runs outside of a guest, as far as the machine allows.
#   counts      every load of lives.c against its own count, by BPF
#   others      perf and cpu.stat on the same loads, brief lives left out
#   verify      the verifier's result for the program as compiled by each clang (/objects/*.o)
#   units       the unit tests that need this kernel
#   hotplug     CPUs offline and online between two readings and for longer, by BPF and perf; the energy event moves
#   account     the scheduler's account and the time between switches, by ftrace, without a sensor
#   slowdown    the cost of counting for a switch between two cgroups
#   suspend     the machine sleeps and comes back
#   newcomer    a CPU that comes online for the first time while the sensor runs
#   energy      sensor, SQLite, server, recap: joules against truth
#   rights      root, CAP_BPF and CAP_PERFMON, neither
#   denied      no BTF, no /dev/shm, no user nobody
#   locked      the messages on a kernel that is locked down for confidentiality, which stays so until the next boot
#   fresh       counts on a v2 tree on which no controller was ever enabled: the first part; afterwards one is
#   v1, hybrid  the layout of cgroups for the following parts; before them it is v2
set -u
TAP_PATIENCE=${TAP_PATIENCE:-20}
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$TOP/tests/lib/tap.sh"
. "${0%guest*}energy.sh"
. "${0%guest*}account.sh"
parts=$(cat /parts 2>/dev/null || echo "${PARTS:-counts}")
work=$TAP_DIR/work
mkdir -p "$work"
chmod 755 "$TAP_DIR"
chmod 777 "$work"
events='-e perf::PAGE-FAULTS -e perf::CONTEXT-SWITCHES -e task-clock'
has() { [[ " $parts " == *" $1 "* ]]; }

# mount_layout v2 | v1 | hybrid: sets $root, where events are counted, and $layout, for the lines of the tests
mount_layout() {
	local base=/sys/fs/cgroup
	[ ! -w "${root:-}/cgroup.subtree_control" ] || echo -cpu >"$root/cgroup.subtree_control" 2>/dev/null
	while umount $base/* 2>/dev/null || umount $base 2>/dev/null; do :; done
	layout=$1 root=$base
	case $1 in
	v1)
		mount -t tmpfs none $base
		mkdir $base/perf_event
		root=$base/perf_event
		# A hierarchy that was just unmounted is not free at once. Both in one, so that the scheduler's account is beside the counts.
		wait_for 10 mount -t cgroup -o perf_event,cpuacct none $root
		;;
	hybrid)
		mount -t tmpfs none $base
		mkdir $base/unified $base/cpuacct
		root=$base/unified
		mount -t cgroup2 none $root
		wait_for 10 mount -t cgroup -o cpuacct none $base/cpuacct
		;;
	v2) mount -t cgroup2 none $base ;;
	esac
}
if [ -e /parts ]; then
	root=
	mount_layout v2
	has fresh || echo +cpu >$root/cgroup.subtree_control
	mount -t securityfs none /sys/kernel/security 2>/dev/null
	mkdir -p /dev/shm
	has denied || mount -t tmpfs none /dev/shm
else
	root=/sys/fs/cgroup/unified layout=here
	[ -w $root/cgroup.procs ] || root=/sys/fs/cgroup
fi

# sensor_start NAME SOURCE ARGUMENTS: $sensor; log and CSV store are named after NAME. With a raised priority, as in its unit.
sensor_start() {
	local name=$1 source=$2
	shift 2
	rm -f "$work/$name.log" # the old log would show the new sensor as measuring before it truncates it
	# shellcheck disable=SC2086
	nice -n -10 wattribute-sensor -n "$name" --activity "$source" -c core $events --store "csv:$work/$name" --state-dir "$work" "$@" \
		>"$work/$name.log" 2>&1 &
	sensor=$!
	on_exit "stop_process $sensor"
	wait_for 20 grep -q ': measuring ' "$work/$name.log"
}
sensor_end() {
	kill $sensor
	wait $sensor
}
# The ticks of a CSV; waiting needs two more: the current one, and one that began later.
ticks_in() { awk -F, '$3 == "all" && $1 != last { n++; last = $1 } END { print n + 0 }' "$1"; }
has_ticks() { [ "$(ticks_in "$1")" -ge "$2" ]; }
two_more_ticks() { wait_for 20 has_ticks "$1" $(($(ticks_in "$1") + 2)); }
perf_events() { ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c 'perf_event'; }
reports_of_all() { grep -c -E ',all,|"target":"all"' "$1"; }
has_reports() { [ "$(reports_of_all "$1")" -ge "$2" ]; }
# run_loads SECONDS TRUTH [REPORTS [VARIABLE=VALUE...]]: the loads begin at once or, for a source that is not notified of new cgroups and
# has events to open, when the sensor has run for some ticks without opening more. Until then they sleep.
run_loads() {
	local seconds=$1 truth=$2 reports=${3:-} loads base seen rounds=0
	if [ -z "$reports" ]; then
		lives $root/wattribute-lives "$seconds" >"$truth"
		return
	fi
	shift 3
	rm -f "$work/go"
	base=$(perf_events)
	env LIVES_GO="$work/go" "$@" lives $root/wattribute-lives "$seconds" >"$truth" &
	loads=$!
	while [ $rounds -lt 20 ]; do
		rounds=$((rounds + 1)) seen=$(perf_events)
		wait_for 20 has_reports "$reports" $(($(reports_of_all "$reports") + 4)) || break
		[ "$(perf_events)" != "$seen" ] || { [ "$seen" -le "$base" ] && [ $rounds -lt 3 ]; } || break
	done
	: >"$work/go"
	wait $loads
}
counts_by() { grep -q "activity per container: $2" "$work/$1.log"; }

# against_truth CSV TRUTH COLUMN PERCENT SLACK: each cgroup's sum of the CSV's column, and the total, compared with the loads' own counts
# (nested ones as one). There may be one more switch for each task that ended. Time may exceed by the interrupts of all CPUs, which the
# scheduler excludes (column time; used: for sources that also exclude them). Prints deviations, and a line for the total.
against_truth() {
	awk -F, -v percent="$4" -v slack="$5" -v column="$3" -v truth_file="$2" '
		function group(name) { if (name ~ /^c0ffee/) return "nest"; return name }
		function is_off(counted, true, over) {
			return counted < true * (1 - percent / 100) - slack || counted > (true + over) * (1 + percent / 100) + slack
		}
		BEGIN {
			at["faults"] = 2; at["switches"] = 3; at["time"] = at["used"] = 4
			while ((getline line < truth_file) > 0) {
				split(line, field, " ")
				if (field[1] == "irq") irq = column == "time" ? field[4] : 0
				else { truth[group(field[1])] += field[at[column]]; tasks[group(field[1])] += field[5] }
			}
			events["faults"] = "perf::page-faults"; events["switches"] = "perf::context-switches"
			events["time"] = "task-clock"; events["used"] = "cpu_time_ns"
		}
		FNR == 1 { for (i = 1; i <= NF; i++) if (tolower($i) == events[column]) value = i; next }
		$3 ~ /^c0ffee/ { counted["nest"] += $value }
		$3 ~ /wattribute-lives\// { name = $3; sub(/.*wattribute-lives\//, "", name); counted[group(name)] += $value }
		END {
			for (name in truth) {
				all += truth[name]; seen += counted[name]; ended += tasks[name]
				if (!is_off(counted[name], truth[name], column == "switches" ? tasks[name] : irq)) continue
				printf "%s: %.0f counted, %.0f in truth\n", name, counted[name], truth[name]
				if (column != "time") bad = 1 # the scheduler gives time that the host takes during a switch to the next task
			}
			if (all == 0 || is_off(seen, all, column == "switches" ? ended : irq)) bad = 1
			printf "%s of all: %.0f counted, %.0f in truth: %+.2f %%", column, seen, all, (all > 0 ? (seen / all - 1) * 100 : 0)
			if (column == "time") printf ", interrupts %.2f %%", (all > 0 ? irq / all * 100 : 0)
			printf "\n"
			exit bad
		}' "$1"
}

# Linux 5.10 starts a new task's time at its creation, although the idle CPU that will run it needs time to wake up (account.sh).
case $(uname -r) in 5.10.*) time_less='|forks|threads' ;; esac

# are_near CSV PERCENT COLUMN...: this try is good
are_near() {
	local csv=$1 percent=$2 column
	shift 2
	for column; do
		case $column in
		time) against_truth "$work/counts-$csv" "$truth.time" time "$percent" 3e6 >/dev/null || return 1 ;;
		used) ;;
		*) against_truth "$work/counts-$csv" "$truth" "$column" "$percent" 8 >/dev/null || return 1 ;;
		esac
	done
}
try_counts() {
	local source=$1 columns=$2 column csv=core.csv percent=0.5 truth=$work/truth on="on $layout" how tries=3
	[ "$source" != cpustat ] || csv=cpustat.csv
	[ "$source" = bpf ] || percent=1
	while :; do
		rm -rf "$work/counts-$source"
		sensor_start "counts-$source" "$source" -f 500
		if ! counts_by "counts-$source" "$source"; then
			tap_fail "$source counts here: $(grep -m 1 "$source is not available" "$work/counts-$source.log")"
			sensor_end
			return
		fi
		case $source in
		bpf) how= ;;
		perf) how="$work/counts-perf/$csv LIVES_LATE=1" ;; # starts when its events are opened
		cpustat) how=$work/counts-cpustat/$csv ;;          # reads the kernel's count since the cgroup's creation
		esac
		# shellcheck disable=SC2086
		ok "$source: the loads ran" run_loads ${LIVES_SECONDS:-6} "$truth" $how
		two_more_ticks "$work/counts-$source/$csv"
		sensor_end
		lives $root/wattribute-lives 0
		[ "$source" = bpf ] || sed -i '/^life-/d; /^to /d; /^from /d' "$truth"
		# The scheduler sees another part of a switch: two loads that only switch are excluded.
		grep -vE "^(p[io]ng${time_less:-}) " "$truth" >"$truth.time"
		# A host that takes the CPU in the middle of a switch moves counts between tasks: three tries for the tight bounds.
		tries=$((tries - 1))
		[ $tries -gt 0 ] && ! are_near "$source/$csv" $percent $columns || break
	done
	for column in $columns; do
		case $column in
		time)
			ok "$source $on: CPU time of all loads within 3 % of the scheduler's, interrupts excluded" \
				against_truth "$work/counts-$source/$csv" "$truth.time" time 3 3e6 ;;
		used)
			ok "$source $on: CPU time of each load within $percent % of the scheduler's" \
				against_truth "$work/counts-$source/$csv" "$truth.time" used $percent 3e6 ;;
		*)
			ok "$source $on: $column of each load within $percent % of its own count" \
				against_truth "$work/counts-$source/$csv" "$truth" "$column" $percent 8 ;;
		esac
		sed 's/^/# /' "$TAP_DIR/ok.out"
	done
}

part_counts() {
	try_counts bpf "faults switches time"
}
# These sources are not notified of new cgroups: only the long loads, which begin before they are known.
part_others() {
	try_counts perf "faults switches time"
	try_counts cpustat used
}
part_verify() { verify /objects/*.o | sed "s/^/VERIFY /"; }
part_units() {
	local unit
	export CMOCKA_MESSAGE_OUTPUT=TAP
	for unit in test_source_bpf test_source_perf test_source_cpustat test_bpf_accuracy test_bpf_moves; do
		command -v $unit >/dev/null || continue
		ok "unit/$unit" $unit
		grep -E '^# .*(bpf|nobody|moved|both)' "$TAP_DIR/ok.out"
	done
}

# Two busy loops for each CPU and a switching load: as much as the machine can do, all in one cgroup.
hot_start() {
	mkdir -p $root/wattribute-hot
	local i
	for i in $(seq $(($(nproc) * 2))); do
		sh -c 'echo $$ >'$root'/wattribute-hot/cgroup.procs; while :; do :; done' &
		hot_pids="${hot_pids:-} $!"
		on_exit "kill $!"
	done
}
hot_end() {
	# shellcheck disable=SC2086
	kill $hot_pids
	hot_pids=
	sleep 0.5
	rmdir $root/wattribute-hot
}
# CPU time of TARGET in each tick of a JSON-lines store, in CPUs of the machine: ticks_of FILE TARGET
ticks_of() {
	awk -v target="$2" '{
		if (!match($0, /"target":"[^"]*"/)) next
		name = substr($0, RSTART + 10, RLENGTH - 11)
		if (name !~ target "$") next
		sum = 0; rest = $0
		while (match(rest, /"task-clock":[0-9.]+/)) { sum += substr(rest, RSTART + 13, RLENGTH - 13); rest = substr(rest, RSTART + RLENGTH) }
		if (match($0, /"interval":[0-9.]+/)) interval = substr($0, RSTART + 11, RLENGTH - 11)
		printf "%.3f\n", sum / 1e9 / (interval > 0 ? interval : 1)
	}' "$1"
}
median() { sort -n | awk '{ value[NR] = $1 } END { print NR ? value[int((NR + 1) / 2)] : 0 }'; }
n_ticks() { grep -c '"target":"all"' "$work/$1.jsonl"; }
wait_ticks() {
	local until=$(($(n_ticks "$1") + $2)) tries=600
	while [ "$(n_ticks "$1")" -lt $until ] && [ $tries -gt 0 ]; do
		tries=$((tries - 1))
		sleep 0.4
	done
}
# Loads that begin and end while the sensors PREFIX-bpf and PREFIX-perf run: are their faults counted on all CPUs?
# Not by ticks, which are late on a starved machine.
loads_beside() {
	run_loads 2 "$work/truth" "$work/$1-perf.jsonl"
	wait_both "$1" 3
	lives $root/wattribute-lives 0
	# perf is not notified of new cgroups: those that live for less than a tick are excluded there.
	sed '/^life-/d; /^to /d; /^from /d' "$work/truth" >"$work/truth-perf"
	cp "$work/truth" "$work/truth-bpf"
}
is_counted() {
	awk 'BEGIN { print "a,b,target,perf::PAGE-FAULTS" }
		match($0, /"target":"[^"]*"/) {
			name = substr($0, RSTART + 10, RLENGTH - 11); sum = 0; rest = $0
			while (match(rest, /"perf::PAGE-FAULTS":[0-9.]+/)) { sum += substr(rest, RSTART + 20, RLENGTH - 20); rest = substr(rest, RSTART + RLENGTH) }
			if (name ~ /wattribute-lives|^c0ffee/) printf ",,%s,%.0f\n", name, sum
		}' "$work/$1-$2.jsonl" >"$work/after.csv"
	against_truth "$work/after.csv" "$work/truth-$2" faults 1 8
}
# Counted as before: the median of the last four ticks compared with that of the first four, in which a guest that waits for its host
# may have had less. Never more than the number of CPUs.
as_before() {
	local file=$1 target=$2 want got
	want=$(ticks_of "$file" "$target" | sed -n '2,5p' | median)
	got=$(ticks_of "$file" "$target" | tail -n 5 | head -n 4 | median)
	echo "# $target: $want CPUs before, $got after"
	awk -v want="$want" -v got="$got" -v n="$(nproc)" 'BEGIN { exit !(want > 0.3 && got > 0.85 * want && got < 1.15 * n) }'
}
hot_sensor() {
	local source=$1 name=$2
	shift 2
	# shellcheck disable=SC2086
	nice -n -10 wattribute-sensor -n "$name" --activity "$source" -c core $events --store "jsonl:$work/$name.jsonl" --state-dir "$work" -f 500 "$@" \
		>"$work/$name.log" 2>&1 &
	sensor=$!
	on_exit "stop_process $sensor"
	wait_for 20 grep -q ': measuring ' "$work/$name.log" && counts_by "$name" "$source" && wait_for 20 test -s "$work/$name.jsonl"
}
# both PREFIX: sensors by BPF and by perf side by side, which see the same. Fails if one does not count by its source.
both() {
	local source
	for source in bpf perf; do
		hot_sensor $source "$1-$source" || { tap_fail "$source counts here" && return 1; }
		both_sensors="${both_sensors:-} $sensor"
	done
}
wait_both() { wait_ticks "$1-bpf" "$2" && wait_ticks "$1-perf" "$2"; }
both_end() {
	# shellcheck disable=SC2086
	kill $both_sensors && wait $both_sensors
	both_sensors=
}
lines_with() { grep -c "$2" "$work/$1.log"; }
last_cpu() { sed 's/.*[-,]//' /sys/devices/system/cpu/possible; }

# Once; twice if events were opened on a CPU that was still coming online, and failed.
gaps_are() { [ "$2" -ge "$1" ] && [ "$2" -le $(($1 + 1)) ]; }

# A CPU that is offline and online again between two readings, and one that stays offline for ticks.
offline='was offline: its events were reopened'
try_hotplug() {
	local source cpu file more
	local -A gaps
	cpu=$(last_cpu)
	hot_start
	both hot || return
	wait_both hot 6
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	wait_both hot 7
	for source in bpf perf; do
		file=$work/hot-$source.jsonl
		ok "$source, CPU offline and online between two readings: the machine is counted as before" as_before "$file" all
		sed -n 's/^# //p' "$TAP_DIR/ok.out" | sed 's/^/# /'
		gaps[$source]=$(lines_with "hot-$source" "CPU $cpu $offline")
		ok "$source: the gap is logged: ${gaps[$source]}" gaps_are 1 "${gaps[$source]}"
		note "$(grep "was offline" "$work/hot-$source.log" | tail -n 1)"
		like "$(grep '"target":"all"' "$file" | tail -n 1)" '"lost":{[^}]*"read":[1-9]' "$source: the gap is counted in lost"
	done
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	wait_both hot 3
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	wait_both hot 3
	hot_end
	loads_beside hot
	for source in bpf perf; do
		ok "$source, CPU offline and back twice: every load is counted" is_counted hot $source
		sed 's/^/# /' "$TAP_DIR/ok.out"
		more=$(($(lines_with "hot-$source" "CPU $cpu $offline") - gaps[$source]))
		ok "$source: this gap is logged as well: $more" gaps_are 1 "$more"
		gaps[$source]=$((gaps[$source] + more))
	done
	both_end
	for source in bpf perf; do
		ok "$source: each gap is counted in lost once" lost_is "$work/hot-$source.jsonl" "${gaps[$source]}"
	done
}
# lost_is FILE N: lost.read in the machine's last report
lost_is() {
	local lost
	lost=$(grep '"target":"all"' "$1" | tail -n 1 | sed -n 's/.*"lost":{[^}]*"read":\([0-9]*\).*/\1/p')
	echo "lost.read is ${lost:-0}, and $2 gaps were logged"
	[ "${lost:-0}" = "$2" ]
}
# Counts of a CPU until it went offline are not lost. Off by PERCENT at most.
try_last_counts() {
	local source cpu pids=
	cpu=$(last_cpu)
	for source in bpf perf; do
		sensor_start "last-$source" $source -f 1000
		pids="$pids $sensor"
	done
	rm -f "$work/go"
	(
		wait_for 60 test -e "$work/go"
		sleep 2.3
		echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	) &
	run_loads 5 "$work/truth" "$work/last-perf/core.csv"
	for source in bpf perf; do two_more_ticks "$work/last-$source/core.csv"; done
	# shellcheck disable=SC2086
	kill $pids && wait $pids
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	lives $root/wattribute-lives 0
	sed -i '/^life-/d; /^to /d; /^from /d' "$work/truth"
	for source in bpf perf; do
		ok "$source, CPU goes offline in the middle of a tick: no count is lost" \
			against_truth "$work/last-$source/core.csv" "$work/truth" faults "$1" 30
		tail -n 1 "$TAP_DIR/ok.out" | sed 's/^/# /'
	done
}
part_hotplug() {
	try_hotplug
	# Before Linux 5.11 tasks run for some time on a CPU that goes offline after its events have ended.
	case $(uname -r) in 5.10.*) try_last_counts 3 ;; *) try_last_counts 1 ;; esac
	energy_moves_on
}

# The least of many: other activity only adds.
least_ns() { sort -n | head -n 1; }
part_slowdown() {
	local way turn
	for turn in 1 2; do
		for way in none bpf perf; do
			[ $way = none ] || sensor_start "slow-$way-$turn" $way -f 1000
			pingpong $root 200 10 >"$work/rounds"
			# The sensor finds the two cgroups in the first half.
			tail -n +$(($(wc -l <"$work/rounds") / 2 + 1)) "$work/rounds" >>"$work/slow-$way"
			[ $way = none ] || sensor_end
		done
	done
	local none bpf perf
	none=$(least_ns <"$work/slow-none") bpf=$(least_ns <"$work/slow-bpf") perf=$(least_ns <"$work/slow-perf")
	note "ns per switch, minimum: $none without a sensor, $bpf with BPF, $perf with perf"
	ok "BPF adds no more to a switch than perf does" awk -v none="$none" -v bpf="$bpf" -v perf="$perf" \
		'BEGIN { exit !(none > 0 && bpf > 0 && bpf - none <= 1.1 * (perf - none)) }'
}

# An emulated machine may resume without a CPU; one that comes online later is counted as well.
bring_back() {
	local cpu
	for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
		[ "$(cat "$cpu/online" 2>/dev/null || echo 1)" = 0 ] || continue
		echo "# the guest resumed without ${cpu##*/}, which is brought online"
		echo 1 >"$cpu/online"
	done
}
part_suspend() {
	local source gaps
	hot_start
	both sleep || return
	wait_both sleep 6
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +4 >/sys/class/rtc/rtc0/wakealarm
	ok "the machine suspends and resumes" sh -c 'echo mem >/sys/power/state'
	bring_back
	wait_both sleep 7
	for source in bpf perf; do
		ok "$source: after the suspend the machine is counted as before" as_before "$work/sleep-$source.jsonl" all
		sed -n 's/^# /# /p' "$TAP_DIR/ok.out"
	done
	hot_end
	loads_beside sleep
	for source in bpf perf; do
		ok "$source: after it every load is counted" is_counted sleep $source
		sed 's/^/# /' "$TAP_DIR/ok.out"
		gaps=$(lines_with "sleep-$source" 'offline: .* were reopened')
		ok "$source: the gap is logged: $gaps" gaps_are 1 "$gaps"
	done
	both_end
}

# Booted with maxcpus=1: the other CPUs exist, and come online later.
part_newcomer() {
	local source cpu
	cpu=$(last_cpu)
	mkdir -p $root/wattribute-hot
	both new || return
	hot_start
	hot_start
	wait_both new 5
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	wait_both new 7
	both_end
	hot_end
	for source in bpf perf; do
		ok "$source: a CPU that was absent at the start is counted when it comes online" newcomer_counts "$work/new-$source.jsonl"
		sed 's/^/# /' "$TAP_DIR/ok.out"
		is "$(lines_with "new-$source" "CPU $cpu is new: reopening the sources")" 1 "$source: it is logged once"
		like "$(grep '"target":"all"' "$work/new-$source.jsonl" | tail -n 1)" '"lost":{[^}]*"read":[1-9]' "$source: and counted in lost"
	done
}
newcomer_counts() {
	local target before after
	for target in all wattribute-hot; do
		before=$(ticks_of "$1" $target | sed -n '2,4p' | median)
		after=$(ticks_of "$1" $target | tail -n 5 | head -n 4 | median)
		echo "$target: $before CPUs before, $after after"
		awk -v before="$before" -v after="$after" 'BEGIN { exit !(before > 0.05 && before < 1.2 && after > 1.6 * before) }' || return 1
	done
}

# Run COMMAND as a user with only the named capabilities (none: "-").
as_user() {
	local caps=$1
	shift
	# Linux before 5.11 counts the maps of BPF as locked memory.
	ulimit -l "${memlock:-unlimited}"
	if [ "$caps" = - ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- "$@"
	else
		setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps="$caps" --ambient-caps="$caps" -- "$@"
	fi
}
rights_sensor() {
	local name=$1 caps=$2
	# shellcheck disable=SC2086
	(as_user "$caps" wattribute-sensor -n "$name" -c core $events --store "csv:$work/$name" --state-dir "$work" -f 500 --ticks 2) >"$work/$name.log" 2>&1
	sed -n 's/.*activity per container: //p' "$work/$name.log" | tail -n 1
}
# The seccomp modes of a process and its children: 2, a filter.
filters_of() {
	local pid
	for pid in "$1" $(grep -l "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status 2>/dev/null | cut -d / -f 3); do
		sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid/status"
	done | paste -s -d ' '
}
part_rights() {
	sensor_start filtered bpf -f 1000
	is "$(filters_of $sensor)" '2 2 2' 'each of the three processes of a sensor has a seccomp filter'
	sensor_end
	is "$(rights_sensor with +bpf,+perfmon)" bpf 'an ordinary user with CAP_BPF and CAP_PERFMON counts by BPF'
	is "$(rights_sensor without -)" cpustat 'one with neither counts CPU time'
	like "$(cat "$work/without.log")" 'CAP_BPF' 'and the log names the rights that BPF needs'
	case $(uname -r) in
	5.10.*)
		is "$(memlock=64 rights_sensor locked +bpf,+perfmon)" cpustat 'with a low limit of locked memory, Linux 5.10 refuses BPF'
		like "$(cat "$work/locked.log")" 'limit of locked memory, which is 64 KiB' 'and the log gives that cause'
		;;
	esac
	is "$(sed -n 's/.*activity per container: //p' "$work"/counts-bpf.log 2>/dev/null | head -n 1)" "$( (has counts || has fresh) && echo bpf)" 'root counts by BPF'
}

part_denied() {
	local said
	mount --bind /dev/null /sys/kernel/btf/vmlinux
	wattribute-sensor -n nobtf -c core -e perf::PAGE-FAULTS --store "csv:$work/nobtf" --state-dir "$work" -f 500 --ticks 2 >"$work/nobtf.log" 2>&1
	umount /sys/kernel/btf/vmlinux
	like "$(cat "$work/nobtf.log")" 'cannot use bpf: .*BTF: /sys/kernel/btf/vmlinux is missing' 'without BTF the log names it'
	like "$(cat "$work/nobtf.log")" 'activity per container: (perf|cpustat)' 'and the sensor counts by another source'
	said=$(wattribute check 2>&1)
	ok 'without /dev/shm no library complains to the user' sh -c "! printf '%s' \"\$1\" | grep -qi mongoc" - "$said"
	grep -v '^nobody:' /etc/passwd >"$work/passwd"
	mount --bind "$work/passwd" /etc/passwd
	wattribute-sensor -n nouser -c core -e perf::PAGE-FAULTS --store "csv:$work/nouser" --state-dir "$work" -f 500 --ticks 2 >"$work/nouser.log" 2>&1
	is $? 0 'without a user nobody the sensor still runs'
	umount /etc/passwd
}

part_locked() {
	local said
	echo confidentiality >/sys/kernel/security/lockdown
	is "$(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/security/lockdown)" confidentiality 'the kernel is locked down'
	said=$(wattribute check 2>&1)
	like "$said" 'bpf:? .*locked down for confidentiality' 'check names lockdown as the cause'
	wattribute-sensor -n locked -c core -e perf::PAGE-FAULTS --store "csv:$work/locked" --state-dir "$work" -f 500 --ticks 2 >"$work/locked.log" 2>&1
	like "$(cat "$work/locked.log")" 'cannot use bpf: .*locked down for confidentiality' 'so does the log'
	like "$(cat "$work/locked.log")" 'activity per container: (perf|cpustat)' 'and the sensor counts by another source'
}

part_fresh() {
	layout='fresh v2'
	try_counts bpf "faults switches time"
	layout=v2
	mkdir $root/wattribute-fresh
	wattribute-sensor -n fresh --activity perf -c core -e perf::PAGE-FAULTS --store "csv:$work/fresh" --state-dir "$work" -f 500 --ticks 2 >"$work/fresh.log" 2>&1
	like "$(cat "$work/fresh.log")" 'cgroup.subtree_control' 'a v2 tree on which no controller was ever enabled: the log says what to write to which file'
	echo +cpu >$root/cgroup.subtree_control
	wattribute-sensor -n fresh2 --activity perf -c core -e perf::PAGE-FAULTS --store "csv:$work/fresh2" --state-dir "$work" -f 500 --ticks 2 >"$work/fresh2.log" 2>&1
	like "$(cat "$work/fresh2.log")" 'activity per container: perf' 'after that, perf counts'
	rmdir $root/wattribute-fresh
}

[ -e /parts ] || PATH=$BUILD:$BUILD/tests/kernel:$PATH
for part in $parts; do
	began=$SECONDS
	case $part in
	v1 | hybrid) mount_layout $part ;;
	*)
		part_$part
		note "$part: $((SECONDS - began)) s"
		;;
	esac
done
done_testing
