#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plots of the results of tests/bench/run.sh, as SVG by gnuplot. usage: tests/bench/plots.py [build/bench] [DESTINATION]"""
import json
import os
import shutil
import subprocess
import sys


def load(folder, name):
    try:
        with open(f"{folder}/{name}.json", encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return []


def plot(path, title, x, y, series):
    """Lines of points on logarithmic axes; series: name -> [(x, y)]."""
    lines = [f'set terminal svg size 640,400 font "sans,12" background "white"', f'set output "{path}"', "set logscale xy",
             f'set title "{title}"', f'set xlabel "{x}"', f'set ylabel "{y}"', "set key left top", "set grid",
             "plot " + ", ".join(f'"-" with linespoints linewidth 2 title "{name}"' for name in series)]
    for points in series.values():
        lines += [f"{a} {b}" for a, b in sorted(points)] + ["e"]
    subprocess.run(["gnuplot"], input="\n".join(lines), text=True, check=True)
    print(path)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "build/bench"
    out = sys.argv[2] if len(sys.argv) > 2 else folder
    if not shutil.which("gnuplot"):
        print("no plots: needs gnuplot")
        return
    os.makedirs(out, exist_ok=True)
    cpu, memory = {}, {}
    for row in load(folder, "sensor"):
        if not row.get("failed") and ("csv" in row["what"] or row["what"] == "bpf, sqlite"):
            cpu.setdefault(row["what"], []).append((row["cgroups"], max(row["cpu_ms"], 0.01)))
            memory.setdefault(row["what"], []).append((row["cgroups"], row["pss_mb"]))
    if cpu:
        plot(f"{out}/sensor-cpu.svg", "Sensor: CPU time, all processes, 20 busy cgroups, 1 Hz", "cgroups", "ms per second", cpu)
        plot(f"{out}/sensor-memory.svg", "Sensor: memory, all processes", "cgroups", "PSS, MB", memory)
    server = {}
    for row in load(folder, "server"):
        if row["what"] in ("wattribute", "smartwatts") and row["per_cpu_s"]:
            server.setdefault(row["what"], []).append((row["containers"], row["per_cpu_s"]))
    if server:
        plot(f"{out}/server.svg", "Server over MongoDB's protocol, live at 1 Hz", "containers",
             "container-ticks per CPU-second", server)


if __name__ == "__main__":
    main()
