#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a sysfs tree whose `power` PMU counts a software event on every CPU, so that the energy of each process is
# known by counting. Everything else in the tree is this machine's own. usage: tests/fake/sysfs.sh DIR [OPTION...]
#   --config N   software event: 2 page faults (default), 3 context switches; with --pmu one of its codes
#   --pmu NAME   an event of this PMU of the machine instead of a software event
#   --scale J    joules per event of energy-pkg (default 0.001)
#   --dram J     also make energy-ram, the same event with this scale
#   --powercap   a powercap tree with package-0 and dram instead of the PMU (its energy_uj files are plain text)
set -eu
[ $# -ge 1 ] || { sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
dir=$1
shift
config=2 scale=0.001 dram='' powercap='' pmu=software format=config:0-7
while [ $# -gt 0 ]; do
	case $1 in
	--config) config=$2; shift 2 ;;
	--pmu) pmu=$2 format=config:0-15; shift 2 ;;
	--scale) scale=$2; shift 2 ;;
	--dram) dram=$2; shift 2 ;;
	--powercap) powercap=1; shift ;;
	*) echo "sysfs.sh: unknown option '$1'" >&2; exit 2 ;;
	esac
done

devices=$dir/bus/event_source/devices
mkdir -p "$devices"
[ -e "$dir/devices" ] || ln -s /sys/devices "$dir/devices"
for own in /sys/bus/event_source/devices/*; do
	[ -e "$own" ] && [ "${own##*/}" != power ] && ln -sf "$own" "$devices/${own##*/}"
done
if [ -n "$powercap" ]; then
	for zone in intel-rapl:0 intel-rapl:0:0; do
		mkdir -p "$dir/class/powercap/$zone"
		echo 262143328850 >"$dir/class/powercap/$zone/max_energy_range_uj"
		echo 0 >"$dir/class/powercap/$zone/energy_uj"
	done
	echo package-0 >"$dir/class/powercap/intel-rapl:0/name"
	echo dram >"$dir/class/powercap/intel-rapl:0:0/name"
	exit 0
fi
mkdir -p "$devices/power/events" "$devices/power/format"
cat "/sys/bus/event_source/devices/$pmu/type" >"$devices/power/type"
cat /sys/devices/system/cpu/online >"$devices/power/cpumask"
echo "$format" >"$devices/power/format/event"
event() {
	echo "config=$config" >"$devices/power/events/$1"
	echo "$2" >"$devices/power/events/$1.scale"
	echo Joules >"$devices/power/events/$1.unit"
}
event energy-pkg "$scale"
[ -z "$dram" ] || event energy-ram "$dram"
