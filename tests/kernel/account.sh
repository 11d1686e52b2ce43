# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Part of guest.sh, in a guest only: the CPU time that the scheduler accounts to tasks, compared with the time between their switches,
# by ftrace alone and without a sensor. Nothing is judged; one line for each way in which a task came to run.

account_of() {
	awk '
		function value(key) {
			return match($0, key "=[^ ]*") ? substr($0, RSTART + length(key) + 1, RLENGTH - length(key) - 1) : ""
		}
		!/^#/ {
			match($0, /\[[0-9]+\]/); cpu = substr($0, RSTART + 1, RLENGTH - 2)
			match($0, / [0-9]+\.[0-9]+: /); ms = substr($0, RSTART + 1, RLENGTH - 3) * 1e3
		}
		/sched_stat_runtime:/ { account[value(" pid")] += value("runtime") / 1e6 }
		/sched_wakeup(_new)?:/ { woken[value(" pid")] = ms; by[value(" pid")] = cpu; fresh[value(" pid")] = /_new:/ ? "new, " : "" }
		/sched_switch:/ {
			last = value("prev_pid"); next_one = value("next_pid")
			if (cpu in since && last != 0) {
				runs[way[cpu]]++; ran[way[cpu]] += ms - since[cpu]; late[way[cpu]] += waited[cpu]
				accounted[way[cpu]] += account[last] - before[cpu]
				all_ran += ms - since[cpu]; all_accounted += account[last] - before[cpu]
			}
			since[cpu] = ms; before[cpu] = account[next_one]; waited[cpu] = 0; way[cpu] = "not woken"
			if (next_one in woken) {
				way[cpu] = fresh[next_one] "woken by " (by[next_one] == cpu ? "its" : "another") " CPU, after " (last == 0 ? "idle" : "a task")
				waited[cpu] = ms - woken[next_one]
				delete woken[next_one]
			}
		}
		END {
			printf "# all: %.0f ms between switches, %.0f ms in the account: %+.2f %%\n", all_ran, all_accounted, (all_accounted / all_ran - 1) * 100
			for (each in runs) printf "# %s: %d runs, %.0f ms between switches, %+.0f ms in the account; %.0f ms from waking to running\n", \
				each, runs[each], ran[each], accounted[each] - ran[each], late[each]
		}'
}

part_account() {
	local trace=/sys/kernel/tracing event
	mount -t tracefs none $trace 2>/dev/null
	echo 20000 >$trace/buffer_size_kb
	for event in sched_switch sched_stat_runtime sched_wakeup sched_wakeup_new; do echo 1 >$trace/events/sched/$event/enable; done
	echo 1 >$trace/tracing_on
	ok 'the loads ran under ftrace' run_loads "${LIVES_SECONDS:-6}" "$work/truth"
	echo 0 >$trace/tracing_on
	lives $root/wattribute-lives 0
	account_of <$trace/trace
	echo 0 >$trace/events/enable
}
