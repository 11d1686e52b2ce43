# SPDX-License-Identifier: Apache-2.0
# The guest's job for tests/kernel/power/check.sh: the sensor beside the module's counters, in scenarios. Prints for each
# "SCENARIO name status words", and the log, the reports and the module's journal, gzip in base64. Two packages of two CPUs.
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /dev/shm /root
mount -t tmpfs none /dev/shm
cd /root
parameters=/sys/module/power/parameters

ticks() { grep -c '"target":"all"' $name.jsonl 2>/dev/null; }
# until_true COMMAND...: for at most 100 s
until_true() {
	local i=0
	until "$@" >/dev/null 2>&1; do
		i=$((i + 1))
		[ $i -lt 500 ] || return 1
		sleep 0.2
	done
}
has_ticks() { [ "$(ticks)" -ge "$1" ]; }
more_ticks() { until_true has_ticks $(($(ticks) + $1)); }
# begin NAME TICK OPTION...: the sensor in the background
begin() {
	name=$1 words=
	local tick=$2
	shift 2
	: >$name.journal
	wattribute-sensor -n p --store jsonl:/root/$name.jsonl --state-dir /root/state --user root --activity cpustat -f $tick \
		-s rapl -o -e RAPL_ENERGY_PKG "$@" >$name.log 2>&1 &
	sensor=$!
	until_true has_ticks 2
}
# The module's readings until now, before it is unloaded; if a sensor may read it, it must be `gone` first.
keep_journal() {
	cat /proc/power_journal >>$name.journal
	echo life >>$name.journal
}
end() {
	kill $sensor
	wait $sensor
	local status=$?
	keep_journal
	rmmod power
	echo "SCENARIO $name $status $words"
	echo "BEGIN $name"
	for part in log jsonl journal; do
		echo "PART $part"
		cat $name.$part
	done | gzip -c | base64
	echo "END $name"
	rm -rf state $name.*
}

while :; do :; done & # a load for the scheduler
busy=$!

insmod /power.ko range_uj=1000000000
begin perf 500ms
rmmod power 2>/dev/null || words="$words in-use"
more_ticks 10
end

insmod /power.ko perf=0 range_uj=1000000000
begin wraps 12s
more_ticks 2
end

insmod /power.ko perf=0
begin fails 500ms
more_ticks 3
echo 1 >$parameters/fail
more_ticks 5
echo 0 >$parameters/fail
more_ticks 5
echo 1 >$parameters/restart
more_ticks 5
end

insmod /power.ko perf=0
begin reload 500ms
more_ticks 3
echo 1 >$parameters/gone
keep_journal
rmmod power && words="$words unloaded"
more_ticks 5
insmod /power.ko perf=0
until_true grep -q 'can be read again' $name.log && words="$words again"
more_ticks 5
end

for path in zones perf; do
	case $path in
	zones) insmod /power.ko perf=0 packages=1 ;;
	perf) insmod /power.ko zones=0 packages=1 ;;
	esac
	begin late-$path 500ms
	more_ticks 3
	echo 2 >$parameters/packages
	until_true grep -q 'now has more counters' $name.log && words="$words wider"
	more_ticks 5
	end
done

# Since Linux 6.15 a PMU can vanish while its events are open; if it comes back as another type, the old type may be another PMU's.
if [ "$LOOSE" = 1 ]; then
	insmod /power.ko zones=0 loose=1
	begin retyped 500ms --energy rapl
	before=$(cat /sys/bus/event_source/devices/power/type)
	more_ticks 3
	echo 1 >$parameters/gone
	keep_journal
	rmmod power && words="$words unloaded"
	more_ticks 3
	insmod /power.ko zones=0 loose=1 filler=1
	[ "$(cat /sys/bus/event_source/devices/power/type)" = "$before" ] || words="$words retyped"
	has_energy() { tail -n 3 $name.jsonl | grep -q RAPL_ENERGY_PKG; }
	until_true has_energy && words="$words again"
	more_ticks 5
	end
fi
kill $busy
