#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sensor and server on SQLite with containers that come and go; fails if memory or descriptors grow after warm-up.

usage: tests/bench/soak.py [--minutes 30] [--warm-minutes 3] [--churn 1000] [--cgroups 200] [--build build]
--churn: cgroups created and removed per minute. Prints TAP. Growth is the difference between the medians of the first and the
last third of the samples after warm-up: of each process's memory (anonymous), descriptors and inotify
watches. The formula's memory of ended containers is bounded in number, so a short run allows for it.
"""
import argparse
import glob
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from sensor import cgroup_root
from server import end, family


def sample(pids):
    """{process: (its own memory in kB, descriptors, inotify watches)}. Shared pages depend on other processes."""
    out = {}
    for name, pid in pids.items():
        try:
            own_kb = [int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup", encoding="ascii")
                   if line.startswith("Anonymous:")][0]
            watches = 0
            for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
                try:
                    watches += sum(line.startswith("inotify ") for line in open(path, encoding="ascii"))
                except OSError:
                    pass
            out[name] = (own_kb, len(os.listdir(f"/proc/{pid}/fd")), watches)
        except (OSError, IndexError):
            out[name] = None
    return out


def start(command, log):
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)


def names(sensor, server):
    pids = {}
    for what, process in (("sensor", sensor), ("server", server)):
        for number, pid in enumerate(family(process.pid)):
            words = open(f"/proc/{pid}/cmdline", encoding="utf-8").read().split("\0")
            pids[f"{what} {number} {words[0] if number else ''}".strip()] = pid
    return pids


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, what):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {what}", flush=True)


def judge(tap, samples, options):
    third = max(1, len(samples) // 3)
    for name in samples[0]:
        rows = [row[name] for row in samples]
        if None in rows:
            tap.ok(False, f"{name} lives to the end")
            continue
        for at, (what, unit) in enumerate((("memory", "kB"), ("descriptors", ""), ("inotify watches", ""))):
            first, last = (statistics.median(row[at] for row in part) for part in (rows[:third], rows[-third:]))
            # Memory: 3 % or 256 kB for malloc's overhead; in short runs caches still fill (the server's table of names).
            slack = max(first * 0.03, 256) + options.allow_kb if at == 0 else 8 if at == 1 else options.churn / 60 * 3 + 8
            tap.ok(last - first <= slack, f"{name}: {what} {first:.0f} to {last:.0f} {unit}".rstrip())


def lived(store):
    """The number of short-lived cgroups in the server's reports."""
    import sqlite3
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        return database.execute("select count(distinct target) from documents where target like '%x0%'").fetchone()[0]


def oldest_s(store):
    """Age of the oldest power report or report."""
    import sqlite3
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        oldest = database.execute("select min(time) from documents where collection in ('sensorsoak', 'powersoak')")
        return time.time() - oldest.fetchone()[0] / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"minutes": 30.0, "warm-minutes": 3.0, "churn": 1000.0, "cgroups": 200.0, "allow-kb": 0.0,
                        "retention": 60.0}.items():
        parser.add_argument("--" + name, type=float, default=value)
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    options = parser.parse_args()
    work, tap, samples = tempfile.mkdtemp(prefix="wattribute-soak-"), Tap(), []
    log = open(f"{work}/log", "w", encoding="utf-8")
    fleet = subprocess.Popen([f"{options.build}/tests/bench/fleet", cgroup_root(), str(int(options.cgroups)), "5", "--churn",
                              str(options.churn)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    running = []
    try:
        tap.ok(fleet.stdout.readline().strip() == "ready", "cgroups come and go")
        store = ["-U", f"sqlite:{work}/store.db"]
        # Only its own cgroups: those of other programs would look like growth.
        folder = f"{cgroup_root()}/wattribute-bench-{fleet.pid}"
        running.append(start([f"{options.build}/wattribute-sensor", "-n", "soak", "-p", folder, "--state-dir", work, "--log-level", "warning",
                              "--store", store[1]], log))
        running.append(start([f"{options.build}/wattribute-server", *store, "--listen", "off", "--log-level", "warning",
                              "--retention", f"{int(options.retention)}s"], log))
        time.sleep(options.warm_minutes * 60)
        pids, until = names(*running), time.monotonic() + options.minutes * 60
        told = 0
        while time.monotonic() < until:
            samples.append(sample(pids))
            if time.monotonic() >= told:
                told = time.monotonic() + 60
                print("# kB: " + ", ".join(f"{name.split('/')[0].strip()} {row[0]}" for name, row in samples[-1].items() if row), flush=True)
            time.sleep(max(0.5, min(10, options.minutes)))
        judge(tap, samples, options)
        n, age_s = lived(f"{work}/store.db"), oldest_s(f"{work}/store.db")
        tap.ok(age_s < options.retention * 1.2 + 25, f"the oldest document is {age_s:.0f} s old, {options.retention:.0f} are kept")
        tap.ok(n > options.churn / 60 * min(options.retention, options.minutes * 60) / 10, f"short-lived containers have their watts ({n} of the last time)")
        for name, process in zip(("sensor", "server"), running):
            process.send_signal(signal.SIGTERM)
            try:
                tap.ok(process.wait(30) == 0, f"the {name} ends cleanly")
            except subprocess.TimeoutExpired:
                tap.ok(False, f"the {name} ends in time")
    finally:
        for process in running:
            if process.poll() is None:
                end(process)
        fleet.stdin.close()
        fleet.wait()
        log.close()
        if tap.failed:
            print("".join("# " + line for line in open(f"{work}/log", encoding="utf-8").readlines()[-15:]))
        shutil.rmtree(work)
    print(f"1..{tap.count}")
    return tap.failed != 0


if __name__ == "__main__":
    sys.exit(main())
