# SPDX-License-Identifier: Apache-2.0
# A fake machine for the sensor's energy sources, to be sourced after tap.sh: sysfs of one socket with two CPUs, a
# folder of cgroups with two containers whose CPU time grows, and checks of the reports and the power reports.
#
#   make_machine DIR               DIR/sys, DIR/cgroup; the containers are ${heavy_id} and ${light_id}
#   feed_cpu_time DIR              makes their CPU time grow, 0.3 and 0.1 s per second
#   conservation FILE.csv SCOPE    "TICKS WORST MEASURED SHARED": the worst relative difference between a tick's measured energy
#                                  and the sum of containers, system and idle; joules measured, joules of the two containers
heavy_id=aaaaaaaaaaaa11112222333344445555666677778888999900001111222233aa
light_id=bbbbbbbbbbbb11112222333344445555666677778888999900001111222233bb

make_machine() {
	mkdir -p "$1/sys/bus/event_source/devices" "$1/cgroup/docker/$heavy_id" "$1/cgroup/docker/$light_id"
	for cpu in 0 1; do
		mkdir -p "$1/sys/devices/system/cpu/cpu$cpu/topology"
		echo 0 | tee "$1/sys/devices/system/cpu/cpu$cpu/topology/physical_package_id" \
			>"$1/sys/devices/system/cpu/cpu$cpu/topology/die_id"
		echo $cpu >"$1/sys/devices/system/cpu/cpu$cpu/topology/core_id"
	done
	echo 0-1 | tee "$1/sys/devices/system/cpu/online" "$1/sys/devices/system/cpu/possible" >"$1/sys/devices/system/cpu/present"
	for folder in "$1/cgroup" "$1/cgroup/docker" "$1/cgroup/docker/$heavy_id" "$1/cgroup/docker/$light_id"; do
		printf 'usage_usec 00000001000\nuser_usec 0\nsystem_usec 0\n' >"$folder/cpu.stat"
		: >"$folder/cgroup.procs"
	done
	chmod -R a+rX "$1"
}

feed_cpu_time() {
	python3 - "$1/cgroup/docker/$heavy_id/cpu.stat" "$1/cgroup/docker/$light_id/cpu.stat" <<-'PY' &
		import os, sys, time
		start = time.monotonic()
		while os.getppid() > 1:
		    for path, share in zip(sys.argv[1:], (0.3, 0.1)):
		        with open(path, "r+") as file:
		            file.write("usage_usec %011d" % (1000 + (time.monotonic() - start) * share * 1e6))
		    time.sleep(0.05)
	PY
	on_exit "kill $! 2>/dev/null"
}

conservation() {
	awk -F, -v scope="$2" -v heavy="${heavy_id%"${heavy_id#????????????}"}" -v light="${light_id%"${light_id#????????????}"}" '
		NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
		$column["scope"] != scope { next }
		{ tick = $column["timestamp"] " " $column["socket"]; target = $column["target"]; joules = $column["energy_j"] }
		target == "rapl" { measured[tick] = joules; all += joules; next }
		target == "global" { next }
		{ parts[tick] += joules }
		target ~ "^" heavy || target ~ "^" light { shared += joules }
		END { for (tick in measured) { n++; e = parts[tick] - measured[tick]; if (e < 0) e = -e
			if (measured[tick] > 1) e /= measured[tick]; if (e > worst) worst = e }
			printf "%d %.3g %.3f %.3f\n", n, worst, all, shared }' "$1"
}
