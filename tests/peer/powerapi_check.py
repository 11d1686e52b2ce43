#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what PowerAPI's formula wrote from our sensor's collection, and writes its rows for power_compare.py.

usage: powerapi_check.py URI DATABASE SENSOR_COLLECTION POWER_COLLECTION OUT.bson
       powerapi_check.py --wait URI DATABASE COLLECTION ROWS SECONDS
"""
import sys
import time

import bson
import pymongo

DELAY_TICKS = 5  # it works a tick off when five newer ones are there, and drops those at the end
END_TICKS = 5  # its actors end without waiting for each other: on a busy machine, rows of the last ticks are not written
EVENTS = {"cpu": "RAPL_ENERGY_PKG", "dram": "RAPL_ENERGY_DRAM"}


def measured(reports):
    """(time, scope, socket) -> watts, as it takes them: joules in a tick of one second."""
    watts = {}
    for report in reports:
        if report["target"] != "all":
            continue
        for socket, cpus in report["groups"]["rapl"].items():
            for scope, event in EVENTS.items():
                for events in cpus.values():
                    watts[report["timestamp"], scope, socket] = events[event] / 2**32
    return watts


def check(reports, rows):
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
    sure = set(times[: -DELAY_TICKS - END_TICKS])
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


def wait(collection, rows, seconds):
    """Until so many rows are there; the last ones may stay in its buffers, so a count that no longer grows will do."""
    now = time.monotonic()
    end, changed, before = now + seconds, now, 0
    while (n := collection.count_documents({})) < rows and not (n > 0 and time.monotonic() - changed > 8):
        assert time.monotonic() < end, f"{n} of {rows} rows"
        if n != before:
            before, changed = n, time.monotonic()
        time.sleep(0.3)
    print(n, "of", rows, "rows")


def main():
    if sys.argv[1] == "--wait":
        uri, database, collection, rows, seconds = sys.argv[2:]
        wait(pymongo.MongoClient(uri)[database][collection], int(rows), float(seconds))
        return
    uri, database, sensor, power, out = sys.argv[1:]
    found = pymongo.MongoClient(uri)[database]
    rows = list(found[power].find({}))
    with open(out, "wb") as file:
        for row in rows:
            file.write(bson.encode(row))
    check(list(found[sensor].find({})), rows)


if __name__ == "__main__":
    main()
