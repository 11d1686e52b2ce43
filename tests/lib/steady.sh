# SPDX-License-Identifier: Apache-2.0
# Waiting for ticks, and detecting stalls of the machine during a measurement, to be sourced after tap.sh by tests
# that compare the sensor's counts with the kernel's. After a stall, a deviation proves nothing, and the
# experiment may be repeated.
#
#   wait_ticks REPORTS N          until N more ticks are in REPORTS (JSON lines); the first of them may have begun before
#   steady_watch                  starts recording stalls of the machine
#   steadily COMMAND...           runs it; if it fails and the machine stalled meanwhile, it is repeated, up to three
#                                 times in all; $steady_try is the number of the try
#   steady_begin FILE             records the CPUs' times
#   steady_stolen FILE            seconds that other guests took since then, per second worked
#   steady_was FILE REPORTS       0 if less than 1 % was stolen and no two ticks of REPORTS (JSON lines) are further
#                                 apart than 1.5 s; else 1, and prints which

wait_ticks() {
	steady_until=$(($(grep -s -c '"target":"all"' "$1") + $2))
	wait_for "$((5 + 2 * $2))" ticks_are "$1" "$steady_until"
}
ticks_are() { [ "$(grep -s -c '"target":"all"' "$1")" -ge "$2" ]; }

# A process that only sleeps briefly is late if the machine stalls.
steady_watch() {
	steady_gaps=$TAP_DIR/steady-gaps
	: >"$steady_gaps"
	python3 - "$steady_gaps" <<-'PY' &
		import os, sys, time
		last = time.monotonic()
		while os.getppid() > 1:
		    time.sleep(0.05)
		    now, gap = time.monotonic(), time.monotonic() - last
		    last = now
		    if gap > 0.3:
		        with open(sys.argv[1], "a", encoding="ascii") as gaps:
		            gaps.write(f"{gap:.2f}\n")
	PY
	on_exit "kill $!"
}
steadily() {
	for steady_try in 1 2 3; do
		steady_before=$(wc -l <"$steady_gaps")
		"$@" && return 0
		sleep 0.2 # the watch may be the last process to resume
		[ "$(wc -l <"$steady_gaps")" -gt "$steady_before" ] || return 1
		note "try $steady_try: the machine stalled for $(tail -n +$((steady_before + 1)) "$steady_gaps" | paste -s -d ' ') s"
	done
	return 1
}

steady_begin() { head -n 1 /proc/stat >"$1"; }
steady_stolen() {
	head -n 1 /proc/stat | awk -v file="$1" '
		BEGIN { getline line <file; split(line, before) }
		{ for (i = 2; i <= 9; i++) if (i != 5 && i != 6) { d = $i - before[i]; if (i == 9) stolen = d; else worked += d } }
		END { printf "%.5f", (worked > 0) ? stolen / worked : 0 }'
}
steady_was() {
	python3 - "$(steady_stolen "$1")" "$2" <<-'PY'
		import datetime, json, sys
		stolen, times = float(sys.argv[1]), []
		for line in open(sys.argv[2], encoding="utf-8"):
		    report = json.loads(line)
		    if report["target"] == "all":
		        times.append(datetime.datetime.fromisoformat(report["timestamp"].replace("Z", "+00:00")).timestamp())
		longest = max((b - a for a, b in zip(times, times[1:])), default=0)
		steady = stolen < 0.01 and longest < 1.5
		if not steady:
		    print(f"# the machine stalled: {stolen:.1%} stolen, {longest:.2f} s between two ticks")
		sys.exit(not steady)
	PY
}
