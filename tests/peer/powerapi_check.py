#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the output of PowerAPI's formula for our sensor's collection, and writes its rows for power_compare.py.

usage: powerapi_check.py URI DATABASE SENSOR_COLLECTION POWER_COLLECTION OUT.bson [END_TICKS]
"""
import sys

import bson
import pymongo

DELAY_TICKS = 5  # it processes a tick when it has five newer ones, and drops the last ones
END_TICKS = 5  # its actors end without waiting for each other: on a busy machine, rows of the last ticks are not written; and
# one that does not end, as at a socket, keeps up to 50 rows in its buffer until more come
EVENTS = {"cpu": "RAPL_ENERGY_PKG", "dram": "RAPL_ENERGY_DRAM"}


def measured(reports):
    """(time, scope, socket) -> watts, as it reads them: joules in a tick of one second."""
    watts = {}
    for report in reports:
        if report["target"] != "all":
            continue
        for socket, cpus in report["groups"]["rapl"].items():
            for scope, event in EVENTS.items():
                for events in cpus.values():
                    watts[report["timestamp"], scope, socket] = events[event] / 2**32
    return watts


def check(reports, rows, end_ticks):
    watts = measured(reports)
    times = sorted({report["timestamp"] for report in reports})
    containers = {time: set() for time in times}
    for report in reports:
        if report["target"] != "all":
            containers[report["timestamp"]].add(report["target"])
    found = {}
    for row in rows:
        key = row["timestamp"], row["metadata"]["scope"], row["metadata"]["socket"]
        targets = found.setdefault(key, {})
        assert row["target"] not in targets, ("twice", key, row["target"])
        targets[row["target"]] = row["power"]
        assert row["sensor"] == reports[0]["sensor"] and row["power"] >= 0, row
    fitted = 0
    sure = set(times[: -DELAY_TICKS - end_ticks])
    for key, targets in found.items():
        if key[0] not in sure:
            continue
        assert abs(targets["rapl"] - watts[key]) <= 1e-9 * watts[key], (key, targets["rapl"], watts[key])
        own = targets.keys() - {"rapl", "global"}
        if "global" in targets:
            fitted += 1
            assert own == containers[key[0]], (key, own ^ containers[key[0]])
        else:
            assert not own, (key, own)
    expected = {key for key in watts if containers[key[0]] and key[0] in sure}
    assert expected <= found.keys(), sorted(expected - found.keys())[:5]
    names = set().union(*containers.values())
    print(f"{len(times)} ticks, {len(names)} containers, {len(rows)} power reports; rapl as ours in {len(expected)} "
          f"tick, scope and socket; one report for each container in {fitted} of them")
    assert fitted > len(found) / 4, "its model was hardly ever there"


def main():
    uri, database, sensor, power, out = sys.argv[1:6]
    found = pymongo.MongoClient(uri)[database]
    rows = list(found[power].find({}))
    with open(out, "wb") as file:
        for row in rows:
            file.write(bson.encode(row))
    check(list(found[sensor].find({})), rows, int(sys.argv[6]) if len(sys.argv) > 6 else END_TICKS)


if __name__ == "__main__":
    main()
