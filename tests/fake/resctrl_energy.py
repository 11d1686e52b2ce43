#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A processor with application energy telemetry, for tests/fake/resctrl.c: every 20 ms the cores of two containers use energy by
a known law. It goes to the counter of the monitoring group that has their threads, and to the package's.
usage: resctrl_energy.py RESCTRL POWERCAP-ENERGY-FILE TRUTH THREAD=WATTS...     (TRUTH: the true joules of each thread, one a line)"""
import os
import sys
import time

STATIC_W, PART = 20.0, 0.8  # the cores' fraction of the energy of work


def put(path, text):
    """Written in place and in one write, as the sensor keeps the file open."""
    with open(path, "r+", encoding="ascii") as file:
        file.write(text)


def main():
    root, package, truth = sys.argv[1:4]
    watts = {int(k): float(v) for k, v in (item.split("=") for item in sys.argv[4:])}
    groups, cores, last = {}, dict.fromkeys(watts, 0.0), time.monotonic()
    begin = last
    while os.getppid() > 1:
        now = time.monotonic()
        passed, last = now - last, now
        for tid, power in watts.items():
            cores[tid] += power * passed
        for name in os.listdir(root + "/mon_groups"):
            folder = f"{root}/mon_groups/{name}"
            try:
                with open(folder + "/tasks", encoding="ascii") as file:
                    threads = [int(line) for line in file]
                groups[name] = groups.get(name, 1000.0) + sum(watts.get(tid, 0) * passed for tid in threads)
                put(folder + "/mon_data/mon_PERF_PKG_00/core_energy", f"{groups[name]:013.6f}\n")
            except OSError:
                continue  # a group that is just being made or removed
        put(package, f"{int(1e6 * (STATIC_W * (now - begin) + sum(cores.values()) / PART)):018d}\n")
        with open(truth + ".new", "w", encoding="ascii") as file:
            file.writelines(f"{tid} {joules}\n" for tid, joules in cores.items())
        os.rename(truth + ".new", truth)
        time.sleep(0.02)


main()
