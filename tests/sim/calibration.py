#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The known loads of `wattribute calibrate`, on the machine of a scenario. usage: calibration.py SCENARIO.json [SECONDS]

Prints a scenario: idle; integer, vector and memory-bound work on 1, half and all threads; then integer and memory on
half of the threads, each alone and both together. The same seed gives the same machine.
"""
import json
import sys

scenario = json.load(open(sys.argv[1]))
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 180
machine = scenario.get("machine", {})
cpus = machine.get("sockets", 2) * machine.get("cores", 8) * machine.get("threads", 2)
counts = {1: "one", max(cpus // 2, 1): "half", cpus: "all"}
phase = seconds / 13
windows = {}
order = [(kind, n) for kind in ("scalar", "vector", "memory") for n in sorted(counts)]
for i, load in enumerate(order):
    windows.setdefault(load, []).append([(i + 1) * phase, (i + 2) * phase])
half = max(cpus // 2, 1)
windows["scalar", half] += [[10 * phase, 11 * phase], [12 * phase, 13 * phase]]
windows["memory", half] += [[11 * phase, 13 * phase]]
print(json.dumps({
    "about": "known loads", "ticks": round(seconds), "machine": machine,
    "containers": [{"name": f"{kind}-{counts[n]}", "character": kind, "threads": min(n, 64), "load": [1, 1], "on_s": 0,
                    "vary": 0, "windows": when} for (kind, n), when in windows.items()]}, indent=1))
