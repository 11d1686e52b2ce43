#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cost of the sensor by number of cgroups and source of activity, beside hwpc-sensor in the same run.

usage: tests/bench/sensor.py [--counts 10,200,1000] [--sources bpf,perf,cpustat] [--stores csv] [--peer PROGRAM]
                             [--seconds 20] [--out build/bench]
--peer: a built hwpc-sensor (one that starts on a machine without hardware counters where there are none).
CPU time is what the scheduler gave all threads of all processes (schedstat); memory is PSS, shared parts shared out.
"""
import argparse
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

EVENTS = ["perf::PAGE-FAULTS", "perf::CONTEXT-SWITCHES", "perf::MINOR-FAULTS"]


def cgroup_root():
    for path in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.access(path + "/cgroup.procs", os.W_OK):
            return path
    sys.exit("sensor.py: no cgroup v2 hierarchy that may be written to; run it as root")


def family(pid):
    """The process and all below it."""
    out = [pid]
    for task in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            for child in open(task).read().split():
                out += family(int(child))
        except OSError:
            pass
    return out


def reading(pids):
    """ns on CPU, voluntary switches, descriptors, PSS in kB, threads."""
    ns = switches = fds = pss = threads = 0
    for pid in pids:
        for task in glob.glob(f"/proc/{pid}/task/*"):
            try:
                ns += int(open(task + "/schedstat").read().split()[0])
                for line in open(task + "/status"):
                    if line.startswith("voluntary_ctxt_switches"):
                        switches += int(line.split()[1])
                threads += 1
            except OSError:
                pass
        try:
            fds += len(os.listdir(f"/proc/{pid}/fd"))
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss:"):
                    pss += int(line.split()[1])
        except OSError:
            pass
    return ns, switches, fds, pss, threads


def measure(command, seconds, warm, log):
    """Runs the command, lets it settle, measures it for a while. None if it ends by itself."""
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        time.sleep(warm)
        if process.poll() is not None:
            return None
        pids = family(process.pid)
        a, start = reading(pids), time.monotonic()
        time.sleep(seconds)
        if process.poll() is not None:
            return None
        b, took = reading(pids), time.monotonic() - start
        return {"cpu_ms": (b[0] - a[0]) / 1e6 / took, "switches": (b[1] - a[1]) / took, "fds": b[2],
                "pss_mb": b[3] / 1024, "threads": b[4], "processes": len(pids)}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ours(build, source, store, state):
    command = [f"{build}/wattribute-sensor", "-n", "bench", "--state-dir", state, "--activity", source, "--store", store,
               "--log-level", "warning", "-c", "core"]
    for event in EVENTS:
        command += ["-e", event]
    return command


def theirs(peer, root, folder):
    command = [peer, "-n", "bench", "-p", root, "-r", "csv", "-U", folder, "-c", "core"]
    for event in EVENTS:
        command += ["-e", event]
    return command


def run_count(options, root, count, results, log):
    fleet = subprocess.Popen([f"{options.build}/tests/bench/fleet", root, str(count), str(min(20, count))],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if fleet.stdout.readline().strip() != "ready":
            sys.exit("sensor.py: the fleet of cgroups could not be made")
        warm = 4 + count / 500
        for source in options.sources:
            for store in options.stores:
                state = tempfile.mkdtemp(prefix="wattribute-bench-")
                uri = {"csv": f"csv:{state}/csv", "sqlite": f"sqlite:{state}/store.db", "null": "null:"}[store]
                row = measure(ours(options.build, source, uri, state), options.seconds, warm, log)
                results.append(dict(row or {"failed": True}, cgroups=count, what=f"{source}, {store}"))
                show(results[-1])
                shutil.rmtree(state)
        if options.peer:
            folder = tempfile.mkdtemp(prefix="wattribute-bench-")
            row = measure(theirs(options.peer, root, folder + "/csv"), options.seconds, warm * 2, log)
            results.append(dict(row or {"failed": True}, cgroups=count, what="hwpc-sensor, csv"))
            show(results[-1])
            shutil.rmtree(folder)
    finally:
        fleet.stdin.close()
        fleet.wait()


def show(row):
    if row.get("failed"):
        print(f"{row['cgroups']:>7} {row['what']:<20} did not run to the end", flush=True)
        return
    print(f"{row['cgroups']:>7} {row['what']:<20} {row['cpu_ms']:>9.3f} ms/s {row['switches']:>8.1f} switches/s "
          f"{row['fds']:>7} fds {row['pss_mb']:>7.1f} MB {row['processes']:>3} processes {row['threads']:>5} threads",
          flush=True)


def ratios(results):
    peers = {r["cgroups"]: r for r in results if r["what"].startswith("hwpc") and not r.get("failed")}
    for row in results:
        peer = peers.get(row["cgroups"])
        if peer and row is not peer and not row.get("failed"):
            row["cpu_ratio"] = row["cpu_ms"] / peer["cpu_ms"]
            row["pss_ratio"] = row["pss_mb"] / peer["pss_mb"]
            print(f"{row['cgroups']:>7} {row['what']:<20} {row['cpu_ratio']:.4f} x CPU, {row['pss_ratio']:.2f} x memory "
                  "of hwpc-sensor")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="10,200,1000")
    parser.add_argument("--sources", default="bpf,perf,cpustat")
    parser.add_argument("--stores", default="csv")
    parser.add_argument("--peer", default=os.environ.get("HWPC_SENSOR"))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    parser.add_argument("--out", default="build/bench")
    options = parser.parse_args()
    options.sources, options.stores = options.sources.split(","), options.stores.split(",")
    results = []
    os.makedirs(options.out, exist_ok=True)
    with open(f"{options.out}/sensor.log", "w", encoding="utf-8") as log:
        for count in options.counts.split(","):
            run_count(options, cgroup_root(), int(count), results, log)
    if not options.peer:
        print("hwpc-sensor is not measured: name a built one by --peer or HWPC_SENSOR")
    ratios(results)
    with open(f"{options.out}/sensor.json", "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
