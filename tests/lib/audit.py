#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts a sensor's data in a store: ticks, gaps, duplicates, power reports. Prints "key value" lines.

usage: audit.py STORE NAME [KEY]      STORE: a SQLite file, or mongodb://…; with KEY only that value
A run is one start of the sensor: its ticks are numbered from 1.
"""
import collections
import sqlite3
import sys

import bson

DATABASE = "rapls2"


def read(store, collection):
    """All documents of a collection; those that are not BSON are skipped and counted."""
    if store.startswith("mongodb:"):
        import pymongo

        client = pymongo.MongoClient(store, serverSelectionTimeoutMS=10000)
        # mongo-java-server does not limit the bytes of a reply; the protocol allows 48 MB.
        return list(client[DATABASE][collection].find().sort("timestamp", 1).batch_size(5000)), 0
    database = sqlite3.connect(store, timeout=20)
    rows = database.execute("SELECT body FROM documents WHERE collection = ? ORDER BY time, number", (collection,))
    documents, broken = [], 0
    for (body,) in rows.fetchall():
        try:
            documents.append(bson.decode(body))
        except Exception:
            broken += 1
    return documents, broken


def audit_reports(documents, result):
    ticks = collections.defaultdict(list)
    for document in documents:
        if isinstance(document.get("sensor"), str) and isinstance(document.get("target"), str):
            ticks[document["timestamp"]].append(document)
    seq_before, runs, gaps, backwards, incomplete, twice, headless = 0, 0, 0, 0, 0, 0, 0
    lost, lost_now, numbered = collections.Counter(), {}, 0
    ends, last_time = [], None
    for time in sorted(ticks):
        names = [document["target"] for document in ticks[time]]
        twice += len(names) - len(set(names))
        heads = [document for document in ticks[time] if document["target"] == "all"]
        if not heads:
            headless += 1
            continue
        metadata = heads[0]["metadata"]
        numbered += 1
        incomplete += metadata["targets"] != len(set(names)) - 1
        if metadata["seq"] <= seq_before:
            runs += 1
            ends.append(f"{seq_before}@{last_time.timestamp():.3f}")
            backwards += metadata["seq"] != 1
            lost.update(lost_now)
            gaps += metadata["seq"] - 1
        else:
            runs += seq_before == 0
            gaps += metadata["seq"] - seq_before - 1
        seq_before, last_time = metadata["seq"], time
        lost_now = metadata.get("lost", {})
    lost.update(lost_now)
    result.update(ticks=numbered, runs=runs, gaps=gaps, restarts_amiss=backwards, incomplete=incomplete, twice=twice,
                  headless=headless, ends=" ".join(ends), last_seq=seq_before, reports=len(documents))
    for cause in ("read", "open", "budget", "late", "spool"):
        result["lost_" + cause] = lost[cause]
    return set(ticks)


def audit_power(documents, times, result):
    seen = collections.Counter()
    sums = collections.defaultdict(float)
    rapl = {}
    for document in documents:
        metadata = document["metadata"]
        place = document["timestamp"], metadata["socket"], metadata["scope"]
        seen[place + (document["target"],)] += 1
        if document["target"] == "rapl":
            rapl[place] = document["power"]
        elif document["target"] != "global":
            sums[place] += document["power"]
    power_times = {place[0] for place in seen}
    result.update(power=len(documents), power_ticks=len(power_times), power_missing=len(times - power_times),
                  power_extra=len(power_times - times), power_twice=sum(n - 1 for n in seen.values()),
                  unequal=sum(abs(sums[place] - rapl[place]) > 1e-6 * max(1, abs(rapl[place])) for place in rapl))


def main():
    store, name = sys.argv[1:3]
    result = {}
    documents, broken = read(store, "sensor" + name)
    result["broken"] = broken
    times = audit_reports(documents, result)
    audit_power(read(store, "power" + name)[0], times, result)
    result["recaps"] = len(read(store, "recap" + name)[0])
    if len(sys.argv) > 3:
        print(result[sys.argv[3]])
        return
    for key in result:
        print(key, result[key])


main()
