#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the published formula as its users do (python -m smartwatts, CSV in and out) on a recorded stream.

usage: smartwatts_actors.py STREAM.bson.gz WORK_DIR OUT.bson
The answers are written as by smartwatts_replay.py, so that the two can be compared.
"""
import calendar
import csv
import glob
import gzip
import os
import signal
import subprocess
import sys

import bson

COLUMNS = {
    "rapl": ["RAPL_ENERGY_PKG", "RAPL_ENERGY_DRAM"],
    "msr": ["TSC", "APERF", "MPERF"],
    "core": ["CPU_CLK_THREAD_UNHALTED:REF_P", "CPU_CLK_THREAD_UNHALTED:THREAD_P", "INSTRUCTIONS_RETIRED", "LLC_MISSES",
             "time_enabled", "time_running"],
}


def time_ms(time):
    return calendar.timegm(time.timetuple()) * 1000 + time.microsecond // 1000


def write_group(documents, group, columns, path):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "sensor", "target", "socket", "cpu"] + columns)
        for document in documents:
            # Its CSV reader separates the targets of a group: `all` has no container group there.
            if group not in document["groups"] or (group == "core" and document["target"] == "all"):
                continue
            for socket, cpus in sorted(document["groups"][group].items()):
                for cpu, events in sorted(cpus.items()):
                    writer.writerow([time_ms(document["timestamp"]), document["sensor"], document["target"], socket, cpu]
                                    + [int(events[name]) for name in columns])


def run(command, folder, seconds):
    """Its actors may wait for each other for ever after their last answers: the written answers count."""
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            print("exit status", process.wait(seconds))
        except subprocess.TimeoutExpired:
            print(f"it had not ended after {seconds} s")
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def main():
    stream, work, out = sys.argv[1:]
    documents = bson.decode_all(gzip.open(stream).read())
    os.makedirs(work + "/in", exist_ok=True)
    os.makedirs(work + "/out", exist_ok=True)
    for group, columns in COLUMNS.items():
        write_group(documents, group, columns, f"{work}/in/{group}.csv")
    command = [sys.executable, "-m", "smartwatts", "--input", "csv", "--model", "HWPCReport", "-f",
               "rapl.csv,msr.csv,core.csv", "--output", "csv", "--model", "PowerReport", "-d", os.path.abspath(work) + "/out"]
    run(command, work + "/in", 180)
    with open(out, "wb") as file:
        for path in sorted(glob.glob(work + "/out/*/PowerReport.csv")):
            for row in csv.DictReader(open(path)):
                file.write(bson.encode({"timestamp_ms": int(row["timestamp"]), "target": row["target"],
                                        "power": float(row["power"]),
                                        "metadata": {"scope": row["scope"], "socket": row["socket"]}}))


if __name__ == "__main__":
    main()
