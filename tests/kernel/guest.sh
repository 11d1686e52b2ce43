#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is tried in a guest, as TAP: the job of ring.sh, run as root with nothing else on the machine. The parts to try are the words
# of /parts; check.sh chooses them and judges. Runs outside of a guest too, as far as the machine allows.
#   counts      every load of lives.c against what it counted itself, by BPF
#   others      perf and cpu.stat on the same loads, brief lives left out
#   verify      what the verifier says of the program as each clang compiled it (/objects/*.o)
#   units       the unit tests that need this kernel
#   hotplug     CPUs offline and online between two looks and for longer, by BPF and perf; the energy event moves on
#   suspend     the machine sleeps and comes back
#   newcomer    a CPU that was not there at the start
#   energy      sensor, SQLite, server, recap: joules against truth
#   rights      root, CAP_BPF and CAP_PERFMON, neither
#   denied      no BTF, no /dev/shm, no user nobody
#   fresh       a v2 tree on which no controller was ever enabled
#   v1, hybrid  other layouts of cgroups (the layout without these words is v2)
set -u
TAP_PATIENCE=${TAP_PATIENCE:-20}
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$TOP/tests/lib/tap.sh"
parts=$(cat /parts 2>/dev/null || echo "${PARTS:-counts}")
work=$TAP_DIR/work
mkdir -p "$work"
chmod 755 "$TAP_DIR"
chmod 777 "$work"
events='-e perf::PAGE-FAULTS -e perf::CONTEXT-SWITCHES -e task-clock'
has() { [[ " $parts " == *" $1 "* ]]; }

mount_cgroups() {
	if has v1; then
		mount -t tmpfs none /sys/fs/cgroup
		mkdir /sys/fs/cgroup/perf_event /sys/fs/cgroup/cpuacct
		mount -t cgroup -o perf_event none /sys/fs/cgroup/perf_event
		mount -t cgroup -o cpuacct none /sys/fs/cgroup/cpuacct
		root=/sys/fs/cgroup/perf_event
	elif has hybrid; then
		mount -t tmpfs none /sys/fs/cgroup
		mkdir /sys/fs/cgroup/unified /sys/fs/cgroup/cpuacct
		mount -t cgroup2 none /sys/fs/cgroup/unified
		mount -t cgroup -o cpuacct none /sys/fs/cgroup/cpuacct
		root=/sys/fs/cgroup/unified
	else
		mount -t cgroup2 none /sys/fs/cgroup
		root=/sys/fs/cgroup
	fi
	has fresh || echo +cpu >$root/cgroup.subtree_control 2>/dev/null
	mkdir -p /dev/shm
	has denied || mount -t tmpfs none /dev/shm
}
if [ -e /parts ]; then
	mount_cgroups
else
	root=/sys/fs/cgroup/unified
	[ -w $root/cgroup.procs ] || root=/sys/fs/cgroup
fi

# sensor_start NAME SOURCE ARGUMENTS: $sensor; log and CSV store are named after it
sensor_start() {
	local name=$1 source=$2
	shift 2
	# shellcheck disable=SC2086
	wattribute-sensor -n "$name" --activity "$source" -c core $events --store "csv:$work/$name" --state-dir "$work" "$@" \
		>"$work/$name.log" 2>&1 &
	sensor=$!
	on_exit "stop_process $sensor"
	wait_for 20 grep -q ': measuring ' "$work/$name.log"
}
sensor_end() {
	kill $sensor
	wait $sensor
}
counts_by() { grep -q "activity per container: $2" "$work/$1.log"; }

# against_truth CSV TRUTH COLUMN PERCENT SLACK: each cgroup's sum of the CSV's column, and that of all, beside the loads' own count
# (nested ones as one). Prints what is off, and a line for all.
against_truth() {
	awk -F, -v percent="$4" -v slack="$5" -v column="$3" -v truth_file="$2" '
		function group(name) { if (name ~ /^c0ffee/) return "nest"; return name }
		BEGIN {
			n = split("faults switches time", names, " ")
			for (i = 1; i <= n; i++) if (names[i] == column) at = i + 1
			while ((getline line < truth_file) > 0) { split(line, field, " "); truth[group(field[1])] += field[at] }
			events["faults"] = "perf::PAGE-FAULTS"; events["switches"] = "perf::CONTEXT-SWITCHES"; events["time"] = "task-clock"
		}
		FNR == 1 { for (i = 1; i <= NF; i++) if ($i == events[column] || (column == "time" && $i == "cpu_time_ns")) value = i; next }
		$3 ~ /^c0ffee/ { counted["nest"] += $value }
		$3 ~ /wattribute-lives\// { name = $3; sub(/.*wattribute-lives\//, "", name); counted[group(name)] += $value }
		END {
			for (name in truth) {
				all += truth[name]; seen += counted[name]
				off = counted[name] - truth[name]
				if (off < 0) off = -off
				if (off > truth[name] * percent / 100 + slack) {
					printf "%s: %.0f counted, %.0f in truth\n", name, counted[name], truth[name]; bad = 1
				}
			}
			printf "%s of all: %.0f counted, %.0f in truth: %+.2f %%\n", column, seen, all, all > 0 ? (seen / all - 1) * 100 : 0
			exit bad || all == 0
		}' "$1"
}

# The clocks of a guest differ by what the host takes from a CPU between two looks at them: time is judged as a sum, in three tries.
try_counts() {
	local source=$1 columns=$2 column csv=core.csv tries=3 percent=0.5 time_percent=1
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
		ok "$source: the loads ran" sh -c "lives $root/wattribute-lives ${LIVES_SECONDS:-6} >$work/truth"
		sleep 1.5
		sensor_end
		lives $root/wattribute-lives 0
		[ "$source" = bpf ] || sed -i '/^life-/d; /^to /d; /^from /d' "$work/truth"
		tries=$((tries - 1))
		[ $tries -gt 0 ] && [[ $columns == *time* ]] &&
			! against_truth "$work/counts-$source/$csv" "$work/truth" time 100 1e15 | sum_is_near $time_percent && continue
		break
	done
	for column in $columns; do
		case $column in
		time)
			ok "$source: CPU time of all loads within $time_percent % of their own count" sum_of "$source/$csv" time "$time_percent" ;;
		*)
			ok "$source: $column of each load within $percent % of its own count" \
				against_truth "$work/counts-$source/$csv" "$work/truth" "$column" $percent 8 ;;
		esac
		sed 's/^/# /' "$TAP_DIR/ok.out" | tail -n 1
	done
}
sum_is_near() { awk -v percent="$1" '/ of all:/ { off = $(NF - 1); sub(/^\+/, "", off); if (off < 0) off = -off; print; exit off > percent }'; }
sum_of() { against_truth "$work/counts-$1" "$work/truth" "$2" 100 1e15 | sum_is_near "$3"; }

part_counts() {
	try_counts bpf "faults switches time"
}
# These do not hear of a cgroup at its birth: the long loads, which begin before they are known.
part_others() {
	try_counts perf "faults switches time"
	try_counts cpustat time
}
part_verify() { verify /objects/*.o | sed "s/^/VERIFY /"; }
part_units() {
	local unit
	export CMOCKA_MESSAGE_OUTPUT=TAP
	for unit in test_source_bpf test_source_perf test_source_cpustat test_bpf_accuracy; do
		command -v $unit >/dev/null || continue
		ok "unit/$unit" $unit
		grep '^# .*bpf' "$TAP_DIR/ok.out"
	done
}

# Two busy loops for each CPU and a switching one: as much as the machine has, all in one cgroup.
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
# What the cgroup used in six ticks by its cpu.stat, and what was counted in them.
hot_is_true() {
	local name=$1 first before used counted
	first=$(n_ticks "$name") before=$(sed -n 's/usage_usec //p' $root/wattribute-hot/cpu.stat)
	wait_ticks "$name" 8
	used=$(($(sed -n 's/usage_usec //p' $root/wattribute-hot/cpu.stat) - before))
	counted=$(grep '"target":"[^"]*wattribute-hot"' "$work/$name.jsonl" | tail -n +$((first + 1)) |
		sed -n 's/.*"task-clock":\([0-9.]*\).*/\1/p' | awk '{ sum += $1 } END { printf "%.0f", sum / 1000 }')
	echo "# wattribute-hot: $used us used, $counted counted"
	awk -v used="$used" -v counted="$counted" 'BEGIN { exit !(used > 500000 && counted > 0.85 * used && counted < 1.15 * used) }'
}
# Counted as before: the median of the last four ticks against the first four's. Ticks are kept apart by their numbers.
as_before() {
	local file=$1 target=$2 want got
	want=$(ticks_of "$file" "$target" | sed -n '2,5p' | median)
	got=$(ticks_of "$file" "$target" | tail -n 5 | head -n 4 | median)
	echo "# $target: $want CPUs before, $got after"
	awk -v want="$want" -v got="$got" 'BEGIN { exit !(want > 0.3 && got > 0.85 * want && got < 1.15 * want) }'
}
hot_sensor() {
	local source=$1 name=$2
	shift 2
	# shellcheck disable=SC2086
	wattribute-sensor -n "$name" --activity "$source" -c core $events --store "jsonl:$work/$name.jsonl" --state-dir "$work" -f 500 "$@" \
		>"$work/$name.log" 2>&1 &
	sensor=$!
	on_exit "stop_process $sensor"
	wait_for 20 grep -q ': measuring ' "$work/$name.log" && counts_by "$name" "$source" && wait_for 20 test -s "$work/$name.jsonl"
}
lines_with() { grep -c "$2" "$work/$1.log"; }
last_cpu() { sed 's/.*[-,]//' /sys/devices/system/cpu/possible; }

# Once; a second time where events were opened on a CPU that was still on its way up, and died with that.
gaps_are() { [ "$2" -ge "$1" ] && [ "$2" -le $(($1 + 1)) ]; }

# A CPU that goes and comes back between two looks, and one that stays away for ticks.
try_hotplug() {
	local source=$1 cpu gaps more file=$work/hot-$1.jsonl
	cpu=$(last_cpu)
	hot_start
	if ! hot_sensor "$source" "hot-$source"; then
		tap_fail "$source counts here"
		hot_end
		return
	fi
	wait_ticks "hot-$source" 6
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	wait_ticks "hot-$source" 8
	ok "$source, CPU offline and online between two looks: the machine is counted as before" as_before "$file" all
	sed -n 's/^# //p' "$TAP_DIR/ok.out" | sed 's/^/# /'
	ok "$source, the same: the cgroup is counted" hot_is_true "hot-$source"
	gaps=$(lines_with "hot-$source" "CPU $cpu was offline: its events are open again")
	ok "$source: the gap is logged: $gaps" gaps_are 1 "$gaps"
	note "$(grep "was offline" "$work/hot-$source.log" | tail -n 1)"
	like "$(grep '"target":"all"' "$file" | tail -n 1)" '"lost":{[^}]*"read":[1-9]' "$source: the gap is in lost"
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	wait_ticks "hot-$source" 3
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	wait_ticks "hot-$source" 3
	ok "$source, CPU offline for ticks: the cgroup is counted" hot_is_true "hot-$source"
	more=$(($(lines_with "hot-$source" "CPU $cpu was offline: its events are open again") - gaps))
	ok "$source: this gap is logged as well: $more" gaps_are 1 "$more"
	sensor_end
	hot_end
}
# What a CPU had counted until it went offline is not lost.
try_last_counts() {
	local source=$1 cpu
	cpu=$(last_cpu)
	sensor_start "last-$source" "$source" -f 1000
	(
		sleep 3.3
		echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	) &
	lives $root/wattribute-lives 5 >"$work/truth"
	sleep 2.5
	sensor_end
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	lives $root/wattribute-lives 0
	sed -i '/^life-/d; /^to /d; /^from /d' "$work/truth"
	ok "$source, CPU goes offline in the middle of a tick: no count is lost" \
		against_truth "$work/last-$source/core.csv" "$work/truth" faults "$2" 30
	tail -n 1 "$TAP_DIR/ok.out" | sed 's/^/# /'
}
# An energy event that counts for a package moves to another CPU with the first one gone.
energy_moves_on() {
	local cpu=1 before after
	make_fake_power
	[ -e /sys/devices/system/cpu/cpu0/online ] && cpu=0
	echo $cpu >"$work/sys/bus/event_source/devices/power/cpumask"
	hot_sensor bpf moves --sysfs-root "$work/sys" -s rapl -o -e RAPL_ENERGY_PKG
	wait_ticks moves 2
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	wait_ticks moves 3
	before=$(grep -c RAPL_ENERGY_PKG "$work/moves.jsonl")
	lives $root/wattribute-lives 1 >/dev/null
	wait_ticks moves 3
	after=$(grep '"target":"all"' "$work/moves.jsonl" | tail -n 4 | sed -n 's/.*"RAPL_ENERGY_PKG":\([0-9]*\).*/\1/p' | awk '{ sum += $1 } END { printf "%.0f", sum }')
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	sensor_end
	lives $root/wattribute-lives 0
	note "energy after CPU $cpu went offline: $after, in $before reports before"
	ok "the energy event of a package moves on when its CPU goes offline" test "$after" -gt 0
}
part_hotplug() {
	try_hotplug bpf
	try_hotplug perf
	try_last_counts bpf 1
	try_last_counts perf 1
	energy_moves_on
}

part_suspend() {
	local source gaps
	for source in bpf perf; do
		hot_start
		hot_sensor $source "sleep-$source"
		wait_ticks "sleep-$source" 6
		echo 0 >/sys/class/rtc/rtc0/wakealarm
		echo +4 >/sys/class/rtc/rtc0/wakealarm
		ok "$source: the machine sleeps and comes back" sh -c 'echo mem >/sys/power/state'
		wait_ticks "sleep-$source" 8
		ok "$source: after it the machine is counted as before" as_before "$work/sleep-$source.jsonl" all
		sed -n 's/^# /# /p' "$TAP_DIR/ok.out"
		ok "$source: after it the cgroup is counted" hot_is_true "sleep-$source"
		gaps=$(lines_with "sleep-$source" 'offline: .* are open again')
		ok "$source: the gap is logged: $gaps" gaps_are 1 "$gaps"
		sensor_end
		hot_end
	done
}

# Booted with maxcpus=1: the others are there, and come later.
part_newcomer() {
	local source cpu
	cpu=$(last_cpu)
	for source in bpf perf; do
		echo 0 >/sys/devices/system/cpu/cpu$cpu/online 2>/dev/null
		mkdir -p $root/wattribute-hot
		hot_sensor $source "new-$source"
		hot_start
		hot_start
		wait_ticks "new-$source" 5
		echo 1 >/sys/devices/system/cpu/cpu$cpu/online
		wait_ticks "new-$source" 8
		sensor_end
		hot_end
		ok "$source: a CPU that was not there at the start is counted when it comes" newcomer_counts "$work/new-$source.jsonl"
		sed 's/^/# /' "$TAP_DIR/ok.out"
		is "$(lines_with "new-$source" "CPU $cpu has come, which was not there")" 1 "$source: it is logged once"
		like "$(grep '"target":"all"' "$work/new-$source.jsonl" | tail -n 1)" '"lost":{[^}]*"read":[1-9]' "$source: and in lost"
	done
}
newcomer_counts() {
	local target before after
	for target in all wattribute-hot; do
		before=$(ticks_of "$1" $target | sed -n '2,4p' | median)
		after=$(ticks_of "$1" $target | tail -n 5 | head -n 4 | median)
		echo "$target: $before CPUs before, $after after"
		awk -v before="$before" -v after="$after" 'BEGIN { exit !(before > 0.2 && before < 1.2 && after > 1.6 * before) }' || return 1
	done
}

# Joules are page faults: every cgroup's true energy is its own number of them.
make_fake_power() {
	[ -d "$work/sys" ] || "$TOP/tests/fake/sysfs.sh" "$work/sys" --scale 0.0001
	local faults=$work/sys/bus/event_source/devices/faults
	mkdir -p "$faults/events" "$faults/format"
	echo 1 >"$faults/type"
	echo config:0-7 >"$faults/format/event"
	echo event=0x02 >"$faults/events/ref-cycles"
}
part_energy() {
	local server got truth
	make_fake_power
	wattribute-sensor -n joules --sysfs-root "$work/sys" -s rapl -o -e RAPL_ENERGY_PKG -c core -e faults/ref-cycles/ -f 500 \
		--store "sqlite:$work/store.db" --state-dir "$work" >"$work/joules.log" 2>&1 &
	sensor=$!
	on_exit "stop_process $sensor"
	ok 'the sensor measures' wait_for 20 grep -q ': measuring ' "$work/joules.log"
	wattribute-server --formula share --input "sqlite:$work/store.db" --output "sqlite:$work/power.db" --state-dir "$work" \
		--listen 127.0.0.1:4499 --poll 100ms --discover 500ms >"$work/server.log" 2>&1 &
	server=$!
	on_exit "stop_process $server"
	lives $root/wattribute-lives 4 >"$work/truth"
	sleep 2
	lives $root/wattribute-lives 0
	wait_for 30 sh -c "wattribute recap -s http://127.0.0.1:4499 -m joules --json | grep -q c0ffee"
	wattribute recap -s http://127.0.0.1:4499 -m joules --json --limit 100 >"$work/recap.json" 2>&1
	sensor_end
	sleep 1
	kill $server
	wait $server
	is $? 0 'the server ends cleanly'
	wattribute export --store "sqlite:$work/power.db" --output "$work/power.csv"
	ok 'each of the long loads has its joules, within 2 % of the truth' joules_are_true
	sed 's/^/# /' "$TAP_DIR/ok.out"
	truth=$(awk '/^c0ffee/ { sum += $2 } END { printf "%.4f", sum * 0.0001 }' "$work/truth")
	like "$(cat "$work/recap.json")" 'c0ffee' 'the recap lists the container that ended'
	got=$(tr ',{}' '\n\n\n' <"$work/recap.json" | grep -A 40 c0ffee | sed -n 's/.*"energy[^"]*": *\([0-9.]*\).*/\1/p' | head -n 1)
	ok "the recap has its energy: $got J, true $truth J" awk -v got="${got:-0}" -v truth="$truth" \
		'BEGIN { e = got - truth; if (e < 0) e = -e; exit !(truth > 0 && e < 0.03 * truth) }'
}
joules_are_true() {
	awk -F, -v truth_file="$work/truth" '
		function group(name) { sub(/.*wattribute-lives\//, "", name); if (name ~ /^c0ffee/) return "nest"; return name }
		BEGIN { while ((getline line < truth_file) > 0) { split(line, field, " "); truth[group(field[1])] += field[2] * 0.0001 } }
		$3 ~ /wattribute-lives|c0ffee/ { joules[group($3)] += $9 }
		END {
			for (name in truth) {
				if (name ~ /^(life|ping|pong)/) continue
				off = joules[name] - truth[name]; if (off < 0) off = -off
				if (off > 0.02 * truth[name] + 0.003) { printf "%s: %.4f J, true %.4f J\n", name, joules[name], truth[name]; bad = 1 }
				n++
			}
			printf "%d loads\n", n
			exit bad || n < 5
		}' "$work/power.csv"
}

# Run COMMAND as a user without rights but for the named capabilities (none: "-").
as_user() {
	local caps=$1
	shift
	if [ "$caps" = - ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- "$@"
	else
		setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps="$caps" --ambient-caps="$caps" -- "$@"
	fi
}
rights_sensor() {
	local name=$1 caps=$2
	# shellcheck disable=SC2086
	as_user "$caps" wattribute-sensor -n "$name" -c core $events --store "csv:$work/$name" --state-dir "$work" -f 500 --ticks 2 >"$work/$name.log" 2>&1
	sed -n 's/.*activity per container: //p' "$work/$name.log" | tail -n 1
}
part_rights() {
	is "$(rights_sensor with +bpf,+perfmon)" bpf 'an ordinary user with CAP_BPF and CAP_PERFMON counts by BPF'
	is "$(rights_sensor without -)" cpustat 'one with neither counts CPU time'
	like "$(cat "$work/without.log")" 'CAP_BPF' 'and is told which rights BPF needs'
	is "$(sed -n 's/.*activity per container: //p' "$work"/counts-bpf.log 2>/dev/null | head -n 1)" "$(has counts && echo bpf)" 'root counts by BPF'
}

part_denied() {
	local said
	mount --bind /dev/null /sys/kernel/btf/vmlinux
	wattribute-sensor -n nobtf -c core -e perf::PAGE-FAULTS --store "csv:$work/nobtf" --state-dir "$work" -f 500 --ticks 2 >"$work/nobtf.log" 2>&1
	umount /sys/kernel/btf/vmlinux
	like "$(cat "$work/nobtf.log")" 'bpf is not available.*BTF' 'without BTF the log names it'
	like "$(cat "$work/nobtf.log")" 'activity per container: (perf|cpustat)' 'and the sensor counts otherwise'
	said=$(wattribute check 2>&1)
	ok 'without /dev/shm no library complains to the user' sh -c "! printf '%s' \"\$1\" | grep -qi mongoc" - "$said"
	grep -v '^nobody:' /etc/passwd >"$work/passwd"
	mount --bind "$work/passwd" /etc/passwd
	wattribute-sensor -n nouser -c core -e perf::PAGE-FAULTS --store "csv:$work/nouser" --state-dir "$work" -f 500 --ticks 2 >"$work/nouser.log" 2>&1
	is $? 0 'without a user nobody the sensor runs all the same'
	umount /etc/passwd
}

part_fresh() {
	try_counts bpf "faults switches time"
	mkdir $root/wattribute-fresh
	wattribute-sensor -n fresh --activity perf -c core -e perf::PAGE-FAULTS --store "csv:$work/fresh" --state-dir "$work" -f 500 --ticks 2 >"$work/fresh.log" 2>&1
	like "$(cat "$work/fresh.log")" 'cgroup.subtree_control' 'a v2 tree on which no controller was ever enabled: the log says what to write where'
	echo +cpu >$root/cgroup.subtree_control
	wattribute-sensor -n fresh2 --activity perf -c core -e perf::PAGE-FAULTS --store "csv:$work/fresh2" --state-dir "$work" -f 500 --ticks 2 >"$work/fresh2.log" 2>&1
	like "$(cat "$work/fresh2.log")" 'activity per container: perf' 'with that done perf counts'
	rmdir $root/wattribute-fresh
}

[ -e /parts ] || PATH=$BUILD:$BUILD/tests/kernel:$PATH
for part in $parts; do
	case $part in
	v1 | hybrid) ;;
	*) part_$part ;;
	esac
done
done_testing
