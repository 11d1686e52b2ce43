# SPDX-License-Identifier: Apache-2.0
# The parts of guest.sh that measure energy: a fake perf PMU whose counter is the machine's page faults, so that each cgroup's true
# joules are its own faults; sensor, SQLite, server and recap compared with them, and an event that moves to another CPU. Sourced by
# guest.sh, whose functions it uses.

# Joules are page faults: every cgroup's true energy is its own number of faults.
make_fake_power() {
	[ -d "$work/sys" ] || "$TOP/tests/fake/sysfs.sh" "$work/sys" --scale 0.0001
	local faults=$work/sys/bus/event_source/devices/faults
	mkdir -p "$faults/events" "$faults/format"
	echo 1 >"$faults/type"
	echo config:0-7 >"$faults/format/event"
	echo event=0x02 >"$faults/events/ref-cycles"
}
# announce NAME BEGIN END: requests a run's recap from the server, as tester.sh does; prints the answer
announce() {
	exec 5<>/dev/tcp/127.0.0.1/4499 || return 1
	printf 'POST /rapls2/joules?name=%s&begin=%s&end=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' \
		"$@" >&5
	timeout 60 cat <&5
	exec 5<&-
}
part_energy() {
	local server got truth begin
	make_fake_power
	wattribute-sensor -n joules --sysfs-root "$work/sys" -s rapl -o -e RAPL_ENERGY_PKG -c core -e faults/ref-cycles/ -f 2000 \
		--store "sqlite:$work/store.db" --state-dir "$work" >"$work/joules.log" 2>&1 &
	sensor=$!
	on_exit "stop_process $sensor"
	ok 'the sensor measures' wait_for 20 grep -q ': measuring ' "$work/joules.log"
	wattribute-server --formula share --input "sqlite:$work/store.db" --output "sqlite:$work/power.db" --state-dir "$work" \
		--listen 127.0.0.1:4499 --poll 100ms --discover 500ms >"$work/server.log" 2>&1 &
	server=$!
	on_exit "stop_process $server"
	# A counter that does not move for a tick is taken for broken: something always faults a little.
	while :; do true & sleep 0.1; done >/dev/null 2>&1 &
	on_exit "kill $!"
	begin=$EPOCHREALTIME
	# Long ticks: if the guest waits for its host, a tick's energy and activity are read far apart.
	lives $root/wattribute-lives 10 >"$work/truth"
	sleep 5
	like "$(announce c0ffeec0ffee "$begin" "$EPOCHREALTIME")" '200 OK' \
		'the recap is requested and answered'
	lives $root/wattribute-lives 0
	wattribute recap -s http://127.0.0.1:4499 -m joules --json --limit 100 >"$work/recap.json" 2>&1
	sensor_end
	sleep 2
	kill $server
	wait $server
	is $? 0 'the server ends cleanly'
	wattribute export --store "sqlite:$work/power.db" --output "$work/power.csv" 2>"$work/export.log"
	ok 'each of the long loads has its joules, within 2 % of the truth' joules_are_true
	sed 's/^/# /' "$TAP_DIR/ok.out"
	truth=$(awk '/^c0ffee/ { sum += $2 } END { printf "%.4f", sum * 0.0001 }' "$work/truth")
	like "$(cat "$work/recap.json")" 'c0ffee' 'the recap lists the container that ended'
	got=$(grep -A 40 '"name": "c0ffee' "$work/recap.json" | sed -n 's/.*"total": *\([0-9.]*\).*/\1/p' | head -n 1)
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
				if (name ~ /^(life|ping|pong|irq|to$|from$)/) continue # brief: shares a tick with others
				off = joules[name] - truth[name]; if (off < 0) off = -off
				if (off > 0.02 * truth[name] + 0.003) { printf "%s: %.4f J, true %.4f J\n", name, joules[name], truth[name]; bad = 1 }
				n++
			}
			printf "%d loads\n", n
			exit bad || n < 5
		}' "$work/power.csv"
}

# An energy event of a package moves to another CPU when its CPU goes offline.
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
	ok "the energy event of a package moves when its CPU goes offline" test "$after" -gt 0
}
