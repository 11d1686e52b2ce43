#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All benchmarks, each with its peer in the same run; results in build/bench. usage: tests/bench/run.sh [PART...]
#   sensor    cost by number of cgroups and source; compared with hwpc-sensor if HWPC_SENSOR names a built one
#   slowdown  the cost of counting for the workload
#   store     documents per second and CPU time for each
#   once      the server alone, and with many sensors
#   server    the server compared with smartwatts (from PyPI) over MongoDB's protocol
#   plots     plots of the results
# QUICK=1: smaller numbers and shorter times, to check that everything works. BENCH_COUNTS, BENCH_SECONDS change them.
set -u
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/mongo-wire.sh"
. "$TOP/tests/lib/venv.sh"
cd "$TOP" || exit 1
out=$BUILD/bench
mkdir -p "$out"
if [ "${QUICK:-}" ]; then
	counts=10,100 seconds=5 targets=100 ticks=50 sensors=20 server_counts=10,100 server_seconds=10 repeat=1
else
	counts=10,200,1000,3000,10000 seconds=15 targets=1000 ticks=300 sensors=1000 server_counts=10,100,1000
	server_seconds=40 repeat=5
fi
counts=${BENCH_COUNTS:-$counts} seconds=${BENCH_SECONDS:-$seconds}

part_sensor() {
	[ "$(id -u)" = 0 ] || { echo "not measured: the sensor needs root"; return 0; }
	tests/bench/sensor.py --build "$BUILD" --out "$out" --counts "$counts" --seconds "$seconds"
}
part_slowdown() {
	[ "$(id -u)" = 0 ] || { echo "not measured: the sensor needs root"; return 0; }
	tests/bench/slowdown.py --build "$BUILD" --out "$out" --repeat $repeat
}
part_store() {
	if mongo_wire_build mjs; then
		port=$(free_port)
		mongo_wire_start mjs "$port" "$TAP_DIR/mongo-store" && "$BUILD/tests/bench/bench_store" "mongodb://127.0.0.1:$port/bench"
		mongo_wire_stop
	else
		echo "mongodb: not measured: $mongo_wire_why"
	fi | tee "$out/store.txt"
	"$BUILD/tests/bench/bench_store" | tee -a "$out/store.txt"
}
part_once() {
	tests/bench/once.py --build "$BUILD" --out "$out" --targets $targets --ticks $ticks --sensors $sensors \
		--seconds $((server_seconds))
}
part_server() {
	mongo_wire_build mjs || { echo "not measured: $mongo_wire_why"; return 0; }
	# The last pymongo that supports this server.
	peer=$(venv_python smartwatts smartwatts==2.4.1 powerapi==2.10.0 pymongo==4.10.1) ||
		{ echo "not measured: smartwatts cannot be installed: $venv_why"; return 0; }
	port=$(free_port)
	mongo_wire_start mjs "$port" "$TAP_DIR/mongo" || return 1
	"$peer" tests/bench/server.py --mongo "mongodb://127.0.0.1:$port" --peer-python "$peer" --build "$BUILD" --out "$out" \
		--counts $server_counts --seconds $server_seconds
	mongo_wire_stop
}
part_plots() { tests/bench/plots.py "$out"; }

[ $# != 0 ] || set -- sensor slowdown store once server plots
status=0
for part; do
	printf '\n== %s: %s ==\n' "$part" "$(date -u +%H:%M:%S)"
	"part_$part" || { echo "'$part' failed"; status=1; }
done
tap_ended=1
exit $status
