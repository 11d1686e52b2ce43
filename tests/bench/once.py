#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server alone: a BSON file in, a BSON file out; and many sensors at once on SQLite.

usage: tests/bench/once.py [--targets 1000] [--ticks 300] [--sensors 1000] [--per-sensor 50] [--seconds 30]
                           [--same | --mongo URI] [--live-only] [--build build] [--out build/bench]
The first figure is container-ticks per second of CPU time of both processes, reading and writing BSON included. The
second one: sensors that each append a tick every second to one file; power reports go to another, with --same to the same one.
With --mongo a database is both. Lag is the age of the last tick of each sensor when the
server is queried: half a period on average, at most one, if the server keeps up. It is read from
/api/sensors, as /metrics has a dozen lines for each container and would cost more than the work.
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


def sensors(port):
    """Lag of each sensor, and the ticks processed."""
    found = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/sensors", timeout=20).read())["sensors"]
    return [row["lag"] for row in found if row["lag"] is not None], sum(row["counts"]["ticks"] for row in found)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def many(options, work, log):
    """Many live sensors, on SQLite or MongoDB."""
    store, port = f"{options.mongo}/bench-many" if options.mongo else f"sqlite:{work}/many.db", free_port()
    load = subprocess.Popen([f"{options.build}/tests/bench/loadgen", store, "--sensors", str(options.sensors), "--targets",
                             str(options.per_sensor), "--ticks", str(options.seconds + 25)], stdout=subprocess.PIPE,
                            text=True, stderr=log, start_new_session=True)
    load.stdout.readline()
    result = store if options.same or options.mongo else f"sqlite:{work}/power.db"
    server = subprocess.Popen([f"{options.build}/wattribute-server", "-i", store, "-o", result, "--database", "bench-many", "--listen",
                               f"127.0.0.1:{port}", "--log-level", "warning", "--retention", "1h"], stdout=log,
                              stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        time.sleep(20)
        (_, before), meter, seen = sensors(port), Meter(server.pid), []
        cpu_s, start = -meter.cpu_s(), time.monotonic()
        meter.start()
        while time.monotonic() - start < options.seconds - 5:
            time.sleep(2.5)
            now, ticks = sensors(port)
            seen += now
        cpu_s, took = cpu_s + meter.cpu_s(), time.monotonic() - start
        meter.ended = True
        now = metrics(port)
        ticks -= before
        said = load.communicate(timeout=120)[0].strip().split("\n")[-1]
        row = {"what": f"{options.sensors} sensors x {options.per_sensor}, live, {store.split(':')[0]}" + (", one file" * options.same),
               "rss_mb": meter.peak_kb / 1024, "container_ticks_per_s": ticks * options.per_sensor / took,
               "cores": cpu_s / took, "per_cpu_s": ticks * options.per_sensor / cpu_s, "lag_s": statistics.median(seen),
               "lag_mean_s": statistics.mean(seen), "lag_max_s": max(seen), "lost": sum(now["wattribute_ticks_skipped_total"]),
               "incomplete": sum(now["wattribute_ticks_incomplete_total"]),
               "queue_bytes": max(now["wattribute_store_queue_bytes"]),
               "paused": sum(now["wattribute_reads_paused_total"]), "load": said}
        print(f"{row['what']}: {row['container_ticks_per_s']:.0f} container-ticks/s on {row['cores']:.2f} cores, lag "
              f"{row['lag_s']:.2f} s in the median (mean {row['lag_mean_s']:.2f}, at most {row['lag_max_s']:.2f}), "
              f"{row['rss_mb']:.0f} MB, {row['lost']:.0f} ticks lost, {row['incomplete']:.0f} incomplete, {row['paused']:.0f} readings put off", flush=True)
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
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--mongo")
    parser.add_argument("--live-only", action="store_true")
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    parser.add_argument("--out", default="build/bench")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    work = tempfile.mkdtemp(prefix="wattribute-bench-")
    try:
        with open(f"{options.out}/once.log", "w", encoding="utf-8") as log:
            results = [] if options.live_only else once(options, work)
            if options.sensors:
                results.append(many(options, work, log))
    finally:
        shutil.rmtree(work)
    with open(f"{options.out}/once.json", "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)


if __name__ == "__main__":
    sys.exit(main())
