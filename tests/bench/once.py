#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server alone: a BSON file in, a BSON file out; and many sensors at once on SQLite.

usage: tests/bench/once.py [--targets 1000] [--ticks 300] [--sensors 1000] [--per-sensor 50] [--seconds 30]
                           [--build build] [--out build/bench]
The first figure is container-ticks per second of CPU time of both processes, reading and writing BSON included.
The second one: sensors that each append a tick every second. Lag is the age of the last tick of each sensor when the
server is asked, less what of a period has passed anyhow; it stays below one period where the server keeps up.
"""
import argparse
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from server import Meter, end


def once(options, work):
    load = [f"{options.build}/tests/bench/loadgen", f"bson:{work}/in.bson", "--targets", str(options.targets), "--ticks",
            str(options.ticks), "--interval", "0"]
    subprocess.run(load, stdout=subprocess.DEVNULL, check=True, timeout=300)
    best = None
    for formula in ("pooled", "smartwatts", "share"):
        for target in ("null:", f"bson:{work}/out.bson"):
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            subprocess.run([f"{options.build}/wattribute-server", "--once", "--formula", formula, "--input",
                            f"bson:{work}/in.bson", "--output", target, "--log-level", "warning"], check=True,
                           timeout=300, stderr=subprocess.DEVNULL)
            after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            row = {"what": f"--once, {formula}, bson to {target.split(':')[0]}", "per_cpu_s": options.targets * options.ticks / cpu,
                   "wall_s": wall, "peak_rss_mb": after.ru_maxrss / 1024}
            print(f"{row['what']:<36} {row['per_cpu_s']:>9.0f} container-ticks/CPU-s", flush=True)
            best = best or []
            best.append(row)
            if os.path.exists(f"{work}/out.bson"):
                os.unlink(f"{work}/out.bson")
    os.unlink(f"{work}/in.bson")
    return best


def metrics(port):
    out = {}
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20).read().decode()
    for line in text.split("\n"):
        if line and line[0] != "#":
            name, value = line.rsplit(" ", 1)
            out.setdefault(name.split("{")[0], []).append(float(value))
    return out


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def many(options, work, log):
    """Many sensors on SQLite, live."""
    store, port = f"sqlite:{work}/many.db", free_port()
    load = subprocess.Popen([f"{options.build}/tests/bench/loadgen", store, "--sensors", str(options.sensors), "--targets",
                             str(options.per_sensor), "--ticks", str(options.seconds + 25)], stdout=subprocess.PIPE,
                            text=True, stderr=log, start_new_session=True)
    load.stdout.readline()
    server = subprocess.Popen([f"{options.build}/wattribute-server", "-U", store, "--listen", f"127.0.0.1:{port}",
                               "--log-level", "warning", "--retention", "1h"], stdout=log, stderr=log,
                              stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        time.sleep(20)
        meter, lags, queue = Meter(server.pid), [], []
        cpu_s, ticks, start = -meter.cpu_s(), -sum(metrics(port)["wattribute_ticks_total"]), time.monotonic()
        meter.start()
        while time.monotonic() - start < options.seconds - 5:
            time.sleep(2.5)
            now = metrics(port)
            lags += now["wattribute_lag_seconds"]
            queue += now["wattribute_store_queue_bytes"]
        now = metrics(port)
        cpu_s, ticks, took = cpu_s + meter.cpu_s(), ticks + sum(now["wattribute_ticks_total"]), time.monotonic() - start
        meter.ended = True
        said = load.communicate(timeout=120)[0].strip().split("\n")[-1]
        row = {"what": f"{options.sensors} sensors x {options.per_sensor}, sqlite, live", "rss_mb": meter.peak_kb / 1024,
               "container_ticks_per_s": ticks * options.per_sensor / took, "cores": cpu_s / took,
               "per_cpu_s": ticks * options.per_sensor / cpu_s, "lag_s": statistics.median(lags), "lag_max_s": max(lags),
               "queue_bytes_max": max(queue), "paused": sum(now["wattribute_reads_paused_total"]), "load": said}
        print(f"{row['what']}: {row['container_ticks_per_s']:.0f} container-ticks/s on {row['cores']:.2f} cores, lag "
              f"{row['lag_s']:.2f} s (at most {row['lag_max_s']:.2f}), {row['rss_mb']:.0f} MB, at most "
              f"{row['queue_bytes_max'] / 1e6:.1f} MB waiting to be written, {row['paused']:.0f} readings put off", flush=True)
        print("#      the load: " + said, flush=True)
        return row
    finally:
        end(server)
        if load.poll() is None:
            os.killpg(load.pid, signal.SIGKILL)
            load.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"targets": 1000, "ticks": 300, "sensors": 1000, "per-sensor": 50, "seconds": 30}.items():
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    parser.add_argument("--out", default="build/bench")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    work = tempfile.mkdtemp(prefix="wattribute-bench-")
    try:
        with open(f"{options.out}/once.log", "w", encoding="utf-8") as log:
            results = once(options, work)
            if options.sensors:
                results.append(many(options, work, log))
    finally:
        shutil.rmtree(work)
    with open(f"{options.out}/once.json", "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)


if __name__ == "__main__":
    sys.exit(main())
