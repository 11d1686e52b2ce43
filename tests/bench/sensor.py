#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cost of the sensor by number of cgroups and activity source, compared with hwpc-sensor in the same run.

usage: tests/bench/sensor.py [--counts 10,200,1000] [--sources bpf,perf,cpustat] [--stores csv,sqlite] [--peer PROGRAM]
                             [--seconds 15] [--churn 0] [--edge-readings 2] [--out build/bench]
--stores: the first for every source, the others for the first source only.
--peer: a built hwpc-sensor (on a machine without hardware counters, one that starts there).
--churn: additional cgroups that are created and removed, per minute.
--edge-readings: a row for each of these numbers of extra readings a second; with --churn this shows their cost.
CPU time is that of all threads of all processes by the scheduler (schedstat); memory is PSS, with shared parts divided.
All watch the same folder of cgroups, so that other cgroups on the machine have no effect. Ours scans it once in each
window, which is twice as often as by default.
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
    """The process and all its descendants."""
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


def ours_is_ready(process, log):
    del process
    return "measuring '" in open(log, encoding="utf-8", errors="replace").read()


def settled():
    """The peer prints nothing: it is ready when it has opened no further descriptor for two seconds."""
    history = []

    def ready(process, log):
        del log
        history.append(sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in family(process.pid)))
        return len(history) > 8 and len(set(history[-8:])) == 1
    return ready


def why(log):
    """The last error message of the program."""
    lines = [line.strip() for line in open(log, encoding="utf-8", errors="replace")]
    wrong = [line for line in lines if "rror" in line or "ailed" in line or line.startswith("E:")]
    return (wrong or lines or ["it said nothing"])[-1][:160]


def measure(command, seconds, ready, log):
    """Runs the command, lets it settle, measures it for a while. A failure if it ends by itself."""
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        until = time.monotonic() + 120
        while process.poll() is None and not ready(process, log):
            if time.monotonic() > until:
                return {"failed": "not ready in two minutes"}
            time.sleep(0.25)
        time.sleep(3)
        if process.poll() is not None:
            return {"failed": why(log)}
        pids = family(process.pid)
        a, start = reading(pids), time.monotonic()
        time.sleep(seconds)
        if process.poll() is not None:
            return {"failed": why(log)}
        b, took = reading(pids), time.monotonic() - start
        return {"cpu_ms": (b[0] - a[0]) / 1e6 / took, "switches": (b[1] - a[1]) / took, "fds": b[2],
                "pss_mb": b[3] / 1024, "threads": b[4], "processes": len(pids)}
    finally:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, signal_number)
                process.wait(30)
                break
            except ProcessLookupError:
                process.wait()
                break
            except subprocess.TimeoutExpired:
                pass


def ours(options, folder, source, store, state, edges):
    command = [f"{options.build}/wattribute-sensor", "-n", "bench", "-p", folder, "--state-dir", state, "--activity", source,
               "--store", store, "--cgroup-discovery-interval", f"{int(options.seconds * 1000)}ms",
               "--edge-readings", edges, "-c", "core"]
    for event in EVENTS:
        command += ["-e", event]
    return command


def theirs(peer, folder, out):
    command = [peer, "-n", "bench", "-p", folder, "-r", "csv", "-U", out, "-c", "core"]
    for event in EVENTS:
        command += ["-e", event]
    return command


def written(folder):
    """Lines in the peer's output."""
    return sum(sum(1 for _ in open(path, encoding="utf-8", errors="replace")) - 1 for path in glob.glob(folder + "/csv/*"))


def run_ours(options, folder, kind, log):
    source, store, edges = kind
    state = tempfile.mkdtemp(prefix="wattribute-bench-")
    uri = {"csv": f"csv:{state}/csv", "sqlite": f"sqlite:{state}/store.db", "null": "null:"}[store]
    row = measure(ours(options, folder, source, uri, state, edges), options.seconds, ours_is_ready, log)
    shutil.rmtree(state)
    return dict(row, what=f"{source}, {store}" + (f", {edges} extra" if len(options.edges) > 1 else ""))


def run_count(options, count, results, log):
    command = [f"{options.build}/tests/bench/fleet", cgroup_root(), str(count), str(min(20, count))]
    if options.churn:
        command += ["--churn", str(options.churn)]
    fleet = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    folder = f"{cgroup_root()}/wattribute-bench-{fleet.pid}"
    try:
        if fleet.stdout.readline().strip() != "ready":
            sys.exit("sensor.py: the fleet of cgroups could not be made")
        for source in options.sources:
            for store in options.stores if source == options.sources[0] else options.stores[:1]:
                for edges in options.edges:
                    results.append(run_ours(options, folder, (source, store, edges), log))
                    results[-1]["cgroups"] = count
                    show(results[-1])
        if options.peer:
            out = tempfile.mkdtemp(prefix="wattribute-bench-")
            row = measure(theirs(options.peer, folder, out + "/csv"), options.seconds, settled(), log)
            if not row.get("failed") and not written(out):
                row = {"failed": "it runs, and writes nothing: " + why(log)}
            results.append(dict(row, cgroups=count, what="hwpc-sensor, csv"))
            show(results[-1])
            shutil.rmtree(out)
    finally:
        fleet.stdin.close()
        fleet.wait()


def show(row):
    if row.get("failed"):
        print(f"{row['cgroups']:>7} {row['what']:<20} did not run to the end: {row['failed']}", flush=True)
        return
    print(f"{row['cgroups']:>7} {row['what']:<22} {row['cpu_ms']:>9.3f} ms/s {row['switches']:>8.1f} switches/s "
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
    parser.add_argument("--stores", default="csv,sqlite")
    parser.add_argument("--peer", default=os.environ.get("HWPC_SENSOR"))
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--churn", type=float, default=0)
    parser.add_argument("--edge-readings", dest="edges", default="2")
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    parser.add_argument("--out", default="build/bench")
    options = parser.parse_args()
    options.sources, options.stores = options.sources.split(","), options.stores.split(",")
    options.edges = options.edges.split(",")
    results = []
    os.makedirs(options.out, exist_ok=True)
    for count in options.counts.split(","):
        run_count(options, int(count), results, f"{options.out}/sensor.log")
    if not options.peer:
        print("hwpc-sensor is not measured: name a built one by --peer or HWPC_SENSOR")
    ratios(results)
    with open(f"{options.out}/sensor.json", "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
