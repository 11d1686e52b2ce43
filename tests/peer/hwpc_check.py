#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks our server's output for hwpc-sensor's collection: every tick, every target, all of the energy.

usage: hwpc_check.py REPORTS.bson[.gz] POWER.bson           the check
       hwpc_check.py --put REPORTS.bson[.gz] URI COLLECTION  a recording into a database
       hwpc_check.py --name URI FROM TO                      gives software events the names of hardware ones, which the machine lacks
       hwpc_check.py --get URI COLLECTION OUT.bson           a collection into a file
"""
import gzip
import sys

import bson

COUNTED = {"PERF_COUNT_SW_TASK_CLOCK": "CPU_CLK_THREAD_UNHALTED:REF_P", "PERF_COUNT_SW_CONTEXT_SWITCHES": "INSTRUCTIONS_RETIRED",
           "PERF_COUNT_SW_PAGE_FAULTS": "LLC_MISSES"}
UNITS_PER_FAULT = 4294967  # 1 mJ in 2^-32 J


def load(path):
    with (gzip.open(path) if path.endswith(".gz") else open(path, "rb")) as file:
        return bson.decode_all(file.read())


def collection(uri, name):
    import pymongo

    return pymongo.MongoClient(uri)["rapls2"][name]


def name_events(report):
    for group, sockets in report["groups"].items():
        for cpus in sockets.values():
            for cpu, events in cpus.items():
                if group == "rapl" and "PERF_COUNT_SW_PAGE_FAULTS" in events:
                    events["RAPL_ENERGY_PKG"] = events.pop("PERF_COUNT_SW_PAGE_FAULTS") * UNITS_PER_FAULT
                cpus[cpu] = {COUNTED.get(event, event): count for event, count in events.items()}
    return report


def joules(report):
    """socket -> J; one CPU represents a socket"""
    return {socket: next(iter(cpus.values()))["RAPL_ENERGY_PKG"] / 2**32 for socket, cpus in report["groups"]["rapl"].items()}


def check(reports, rows):
    ticks = {}
    for report in reports:
        ticks.setdefault(report["timestamp"], {})[report["target"]] = report
    whole = {time: tick for time, tick in ticks.items() if "all" in tick}
    found = {}
    for row in rows:
        tick = found.setdefault((row["timestamp"], row["metadata"]["socket"]), {})
        assert row["target"] not in tick, ("twice", row)
        tick[row["target"]] = row
    attributed = measured = 0
    for time, tick in whole.items():
        for socket, energy in joules(tick["all"]).items():
            answer = found.pop((time, socket))
            assert abs(answer["rapl"]["metadata"]["energy"] - energy) <= 1e-9 * energy, (time, answer["rapl"], energy)
            wanted = {name for name, report in tick.items() if name != "all" and socket in report["groups"]["core"]}
            own = answer.keys() - {"rapl", "global", "system", "idle"}
            assert own == wanted, (time, own ^ wanted)
            parts = sum(row["metadata"]["energy"] for name, row in answer.items() if name not in ("rapl", "global"))
            assert abs(parts - energy) <= 1e-6 * energy, (time, parts, energy)
            measured += energy
            attributed += sum(answer[name]["metadata"]["energy"] for name in own)
    assert not found, sorted(found)[:3]
    names = {report["target"] for report in reports} - {"all"}
    print(f"{len(whole)} of {len(ticks)} ticks answered (the others have no report of the machine), {len(names)} targets, "
          f"{measured:.1f} J measured, {attributed:.1f} J attributed to them")
    assert len(whole) >= len(ticks) - 1 and attributed > 0


def main():
    action, arguments = sys.argv[1], sys.argv[2:]
    if action == "--put":
        collection(*arguments[1:]).insert_many(load(arguments[0]))
    elif action == "--name":
        collection(arguments[0], arguments[2]).insert_many([name_events(r) for r in collection(*arguments[:2]).find({})])
    elif action == "--get":
        with open(arguments[2], "wb") as file:
            for document in collection(*arguments[:2]).find({}):
                file.write(bson.encode(document))
    else:
        check(load(action), load(arguments[0]))


if __name__ == "__main__":
    main()
