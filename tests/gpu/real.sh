#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# On a machine with an NVIDIA GPU (root, driver, CUDA's nvcc or a load given by LOAD="COMMAND"): two processes in cgroups of
# their own, each alone and then together, 20 s each, and their shares of the GPU's joules. Needs no network, takes under five
# minutes. Prints the measurements without a verdict, as it has not been run on hardware yet.
# PHASE=SECONDS shortens the phases, LIBRARY=FILE uses another library for NVML (tests/system/sensor/436-gpu-script).
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-$PWD/build}
work=$(mktemp -d)
first='' second='' sensor=''
phase_s=${PHASE:-16}
base=$(awk '$3 == "cgroup2" { v2 = $2 } $3 == "cgroup" && $4 ~ /perf_event/ { v1 = $2 } END { print v1 ? v1 : v2 }' /proc/mounts)
[ -n "$base" ] || { echo 'no cgroup hierarchy is mounted' >&2; exit 2; }
end() {
	for pid in $first $second $sensor; do kill "$pid" 2>/dev/null || :; done
	wait 2>/dev/null || :
	rmdir "$base/gputest.slice/gpu-a.service" "$base/gputest.slice/gpu-b.service" "$base/gputest.slice" 2>/dev/null || :
	rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

if [ -z "${LOAD:-}" ]; then
	command -v nvcc >/dev/null || { echo 'no nvcc: give a load by LOAD="COMMAND", which must run for two minutes' >&2; exit 2; }
	cat >"$work/load.cu" <<-'CU'
		__global__ void spin(float *x) { float v = *x; for (int i = 0; i < 1 << 20; i++) v = v * 1.000001f + 1e-6f; *x = v; }
		int main() {
		    float *x;
		    if (cudaMalloc(&x, sizeof(*x))) return 1;
		    for (;;) { spin<<<64, 256>>>(x); if (cudaDeviceSynchronize()) return 1; }
		}
	CU
	nvcc -o "$work/load" "$work/load.cu"
	LOAD=$work/load
fi
[ -n "${LIBRARY:-}" ] || nvidia-smi --query-gpu=index,name,driver_version,mig.mode.current,power.draw --format=csv || :
mkdir -p "$base/gputest.slice/gpu-a.service" "$base/gputest.slice/gpu-b.service"
"$build/wattribute-sensor" -n gputest --store "sqlite:$work/store.db" --state-dir "$work" --gpu on ${LIBRARY:+--gpu-library "$LIBRARY"} \
	-p "$base" >"$work/sensor.log" 2>&1 &
sensor=$!
start() { sh -c 'echo $$ >"$0/cgroup.procs"; exec $1' "$base/gputest.slice/gpu-$1.service" "$LOAD" & }
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
# phase NAME: measures the current load, without its first 4 s
phase() {
	sleep 4
	echo "$1 $(now)" >>"$work/phases"
	sleep "$phase_s"
	echo "end $(now)" >>"$work/phases"
}
phase idle
start a; first=$!
phase a-alone
start b; second=$!
phase together
kill "$first"; wait "$first" 2>/dev/null || :; first=''
phase b-alone
kill "$second"; wait "$second" 2>/dev/null || :; second=''
sleep 2
kill "$sensor"; wait "$sensor" || :; sensor=''
grep 'gpu' "$work/sensor.log" || :
"$build/wattribute-server" --once --input "sqlite:$work/store.db" --output "sqlite:$work/power.db" --state-dir "$work" --static none >/dev/null 2>&1
while read -r name from && read -r _ until; do
	"$build/wattribute" export --store "sqlite:$work/power.db" --from "$from" --until "$until" --output "$work/phase.csv"
	awk -F, -v name="$name" 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
		$column["scope"] == "gpu" { j[$column["target"]] += $column["energy_j"]; if ($column["target"] == "rapl" && $column["socket"] == 0) s += $column["interval_s"] }
		END { printf "%s: %.1f s,", name, s; for (t in j) if (j[t] > 0) printf " %s %.1f J", t, j[t]; print "" }' "$work/phase.csv"
done <"$work/phases"
