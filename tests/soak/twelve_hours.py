#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hours of ticks in minutes: a sensor and a server on SQLite with an accelerated clock (fast_clock.c).

usage: twelve_hours.py [--build DIR] [--hours H] [--skip H] [--rate N] [--retention S] [--churn N] [--markdown FILE]      (root; Linux)
All periods are in accelerated time: one tick a second, expiry, retention; --churn cgroups come and go per minute. The
server's tables of ended containers are bounded in number; --skip excludes the time in which they fill. Then the
thirds of the rest are compared: memory of each process (anonymous), descriptors, inotify watches, and the store's size.
None of them may grow. Prints TAP; with --markdown a table.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP + "/tests/bench")
from sensor import cgroup_root  # noqa: E402
from soak import Tap, names, sample  # noqa: E402

# Allowed growth of a median. Memory: buffers are as large as the largest batch so far, and a short stall of this machine is
# a long one on that clock; a leak of some 60 bytes a tick would add more in 12 hours. Descriptors and watches:
# containers that happen to exist.
SLACK = {"memory": 0.03, "descriptors": 0, "watches": 0, "pages in use": 0.05, "files": 0.1}
SLACK_LEAST = {"memory": 2560, "descriptors": 3, "watches": 3, "pages in use": 1024, "files": 4096}
DESCRIPTION_KB = 0.25  # each container that ever ran leaves its description in the store


class Run:
    def __init__(self, options):
        self.options = options
        self.work = tempfile.mkdtemp(prefix="wattribute-hours.")
        os.chmod(self.work, 0o755)
        self.store = self.work + "/a.db"
        self.rows = {}
        self.begun = time.monotonic()
        environment = dict(os.environ)
        environment["LD_PRELOAD"] = os.path.abspath(options.build) + "/tests/soak/fast_clock.so"
        environment["FAST_CLOCK"] = f"{options.rate},{time.clock_gettime_ns(time.CLOCK_REALTIME)},{time.clock_gettime_ns(time.CLOCK_MONOTONIC)}"
        self.log = open(self.work + "/log", "w", encoding="utf-8")
        common = {"env": environment, "stdout": self.log, "stderr": self.log, "stdin": subprocess.DEVNULL}
        ticks = int(options.hours * 3600)
        self.fleet = subprocess.Popen([options.build + "/tests/bench/fleet", cgroup_root(), "20", "5", "--churn", str(options.churn * options.rate)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.fleet.stdout.readline()
        self.sensor = subprocess.Popen(
            [options.build + "/wattribute-sensor", "-n", "hours", "-U", "sqlite:" + self.store, "--energy", "estimate", "--tdp", "50",
             "--activity", "cpustat", "--keep-idle", "-p", f"{cgroup_root()}/wattribute-bench-{self.fleet.pid}", "--retention",
             f"{options.retention}s", "--ticks", str(ticks), "--state-dir", self.work], **common)
        self.server = subprocess.Popen(
            [options.build + "/wattribute-server", "-U", "sqlite:" + self.store, "--retention", f"{options.retention}s", "--listen",
             f"127.0.0.1:{options.port}", "--state-dir", self.work], **common)

    def clock_hours(self):
        return (time.clock_gettime(time.CLOCK_MONOTONIC) - self.begun) * self.options.rate / 3600

    def sizes(self):
        return sum(os.path.getsize(path) for path in glob.glob(self.store + "*")) / 1024

    def in_use(self):
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=10) as database:
            pages, free, size = (database.execute("PRAGMA " + what).fetchone()[0] for what in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size / 1024

    def take(self, pids):
        at = self.clock_hours()
        for name, row in sample(pids).items():
            for what, value in zip(("memory", "descriptors", "watches"), row or ()):
                self.rows.setdefault((name, what), []).append((at, value))
        self.rows.setdefault(("store", "files"), []).append((at, self.sizes()))
        self.rows.setdefault(("store", "pages in use"), []).append((at, self.in_use()))

    def follow(self):
        while self.metric("wattribute_ticks_total") < 1 and self.sensor.poll() is None:
            time.sleep(0.1)
        pids = names(self.sensor, self.server)
        while self.sensor.poll() is None and self.server.poll() is None:
            self.take(pids)
            time.sleep(max(0.05, self.options.hours * 3600 / self.options.rate / 300))

    def logged(self, text):
        with open(self.work + "/log", encoding="utf-8", errors="replace") as log:
            return text in log.read()

    def metric(self, name):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.options.port}/metrics", timeout=20) as answer:
                text = answer.read().decode()
        except OSError:
            return -1
        return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(name + r"[ {]", line))


def parts(rows, skip):
    """The medians of the three thirds of the run, without its first hours."""
    end = rows[-1][0]
    rows = [((at - skip) / (end - skip), value) for at, value in rows if at >= skip]
    return [statistics.median([value for at, value in rows if third <= 3 * at <= third + 1] or [0]) for third in range(3)]


def judge(tap, run):
    table = []
    for (name, what), rows in run.rows.items():
        first, second, last = parts(rows, run.options.skip)
        slack = max(SLACK_LEAST[what] + (run.options.allow_kb if what == "memory" else 0), first * SLACK[what])
        if what == "pages in use":
            slack += DESCRIPTION_KB * run.options.churn * 60 * (run.options.hours - run.options.skip) * 2 / 3
        unit = " kB" if what in ("memory", "files", "pages in use") else ""
        name = re.sub(r" /.*/", " ", name)
        tap.ok(last - first <= slack, f"{name}, {what}: {first:.0f}, {second:.0f}, {last:.0f}{unit} in the thirds of the run, {rows[0][1]:.0f} at its start")
        table.append(f"| {name} | {what}{unit and ', kB'} | {rows[0][1]:.0f} | {first:.0f} | {second:.0f} | {last:.0f} |")
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, kind, value in (("build", str, os.environ.get("BUILD", TOP + "/build")), ("hours", float, 12.0), ("skip", float, 0.0), ("allow-kb", float, 0.0), ("rate", int, 100),
                              ("retention", int, 1200), ("churn", float, 10.0), ("port", int, 28999),
                              ("markdown", str, None),
                              ("rows", str, None)):
        parser.add_argument("--" + name, type=kind, default=value)
    options = parser.parse_args()
    tap, run = Tap(), Run(options)
    try:
        run.follow()
        run.sensor.wait()
        # Its orderly shutdown has 5 s of that clock, which may be too short for a real disk: then the last tick is missing.
        tap.ok(run.logged(f"collect: {int(options.hours * 3600)} ticks"), "the sensor finishes all its ticks")
        tap.ok(run.server.poll() is None, "the server runs")
        end = time.monotonic() + 60
        while (ticks := run.metric("wattribute_ticks_total")) < 0.98 * options.hours * 3600 and time.monotonic() < end:
            time.sleep(0.3)
        skipped = run.metric("wattribute_ticks_skipped_total")
        tap.ok(ticks >= 0.98 * options.hours * 3600, f"{ticks:.0f} of {options.hours * 3600:.0f} ticks have power, {skipped:.0f} skipped")
        table = judge(tap, run)
        if options.rows:
            with open(options.rows, "w", encoding="utf-8") as out:
                json.dump([[name, what, rows] for (name, what), rows in run.rows.items()], out)
        run.server.send_signal(signal.SIGTERM)
        tap.ok(run.server.wait(60) == 0, "the server exits with 0")
        with sqlite3.connect(run.store) as database:
            n, oldest, newest = database.execute("SELECT count(*), min(time), max(time) FROM documents WHERE collection = 'powerhours'").fetchone()
        tap.ok(newest - oldest < options.retention * 1.4e3 + 60e3, f"{n} power reports over {(newest - oldest) / 1000:.0f} s are kept, of {options.retention} s")
        if options.markdown:
            with open(options.markdown, "w", encoding="utf-8") as out:
                out.write(f"{ticks:.0f} ticks in {time.monotonic() - run.begun:.0f} s.\n\n| process | what | at the start | first third | second | last |\n"
                          "| --- | --- | ---: | ---: | ---: | ---: |\n" + "\n".join(table) + "\n")
    finally:
        for process in (run.sensor, run.server):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
        if tap.failed:
            with open(run.work + "/log", encoding="utf-8") as log:
                print("".join("# " + line for line in log.readlines()[-15:]))
        run.fleet.stdin.close()
        run.fleet.wait()
        shutil.rmtree(run.work, ignore_errors=True)
    print(f"1..{tap.count}")
    return tap.failed != 0


if __name__ == "__main__":
    sys.exit(main())
