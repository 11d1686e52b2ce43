#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cost of counting for the workload: ns per switch between two cgroups on one CPU, without a sensor and with each source.

usage: tests/bench/slowdown.py [--rounds 20000] [--repeat 5] [--build build] [--out build/bench]
All are measured in turn, several times, and the median of each is printed, so that changes of the machine affect all alike.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from sensor import EVENTS, cgroup_root
from server import end

WAYS = ["none", "cpustat", "bpf", "perf"]


def play(options, way, state, log):
    command = [f"{options.build}/wattribute-sensor", "-n", "slow", "--state-dir", state, "--activity", way, "--store", "null:",
               "--log-level", "warning", "-c", "core"] + [word for event in EVENTS for word in ("-e", event)]
    sensor = None
    if way != "none":
        sensor = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        game = subprocess.Popen([f"{options.build}/tests/bench/pingpong", cgroup_root(), str(options.rounds), "4"],
                                stdout=subprocess.PIPE, text=True)
        time.sleep(2.5)  # the sensor finds the two cgroups; earlier measurements are dropped
        said = game.communicate(timeout=120)[0].split()
        if sensor and sensor.poll() is not None:
            return []
        return [float(word) for word in said[len(said) * 2 // 3:]]
    finally:
        if sensor:
            end(sensor)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    parser.add_argument("--out", default="build/bench")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    found, state = {way: [] for way in WAYS}, tempfile.mkdtemp(prefix="wattribute-bench-")
    with open(f"{options.out}/slowdown.log", "w", encoding="utf-8") as log:
        for _ in range(options.repeat):
            for way in WAYS:
                found[way] += play(options, way, state, log)
    results = [{"what": way, "ns": statistics.median(values), "least_ns": min(values)} for way, values in found.items() if values]
    base = results[0]
    for row in results:
        print(f"{row['what']:<8} {row['ns']:>7.0f} ns a switch (least {row['least_ns']:.0f}), {row['ns'] - base['ns']:+.0f} ns, "
              f"least {row['least_ns'] - base['least_ns']:+.0f} ns")
    for way in set(WAYS) - {row["what"] for row in results}:
        print(f"{way:<8} did not run here")
    with open(f"{options.out}/slowdown.json", "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)


if __name__ == "__main__":
    sys.exit(main())
