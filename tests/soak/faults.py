#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults of many kinds, repeated, against a real sensor and server; then counts the store's content.

usage: faults.py [--build DIR] [--rounds N] [--only WORD] [--jobs N] [--sum FILE] [--markdown FILE]      (root; Linux)
Parts: fault_kinds.py (the faults), fault_world.py (the processes under test), fault_proxy.py. The reader is tests/lib/audit.py, which uses only the documents. Each kind has a store, a sensor and a server of its own.
With WATTRIBUTE_IDLE=N each tick has N more targets, which are idle, and so 2 N more documents. WATTRIBUTE_PAUSE=60: processes are stopped
for a minute; WATTRIBUTE_AWAY=600: the database refuses connections for ten. Prints TAP; with --markdown the table of docs/guarantees.md. With --sum each kind's result is appended to FILE as soon as it
is known, one JSON object a line: results of several runs, also of aborted ones, are added up for the table. With every fault these must hold:
  twice     no report and no power report is stored twice
  power     each tick in the store has its power reports, no other tick has any, and their sums are the measured power
  gaps      no tick is missing within a run of the sensor, unless the sensor has counted it as lost
  tail      of a run that was cut off, at most two ticks that the sensor had counted are not in the store
"""
import argparse
import concurrent.futures
import json
import sys
import time

from fault_kinds import KINDS
from fault_world import TOP, World

TAIL = 2


def judge(kind, rounds, found, tail):
    """The violations, as texts; empty: all promises hold."""
    wrong = []
    for key in ("twice", "power_twice", "incomplete", "headless", "power_missing", "power_extra", "unequal"):
        if found[key]:
            wrong.append(f"{key} {found[key]}")
    excused = found["lost_spool"] + found["lost_late"] + kind.hands * TAIL * rounds
    if found["gaps"] > excused:
        wrong.append(f"{found['gaps']} gaps, {excused} counted as lost")
    if found["restarts_amiss"] and not excused:
        wrong.append(f"{found['restarts_amiss']} runs do not begin with 1")
    if tail is not None and any(n > TAIL for n in tail):
        wrong.append(f"tails {tail}")
    return wrong


def run_kind(build, number, rounds):
    kind = KINDS[number]
    world = None
    try:
        world = World(build, kind, number)
        for _ in range(rounds):
            if not world.wait(60, world.is_up):
                raise RuntimeError("sensor or server did not come back")
            time.sleep(0.3 + world.random.random())
            kind.fault(world)
            world.keep_sensor()
            world.keep_servers()
        time.sleep(2)
        found = world.finish()
        if not found:
            return number, None, ["the store cannot be read"], None
        tail = world.tail(found)
        wrong = judge(kind, rounds, found, tail) + world.crashes()
        if kind.memory and world.hit < rounds / 2:
            wrong.append(f"allocations failed {world.hit} times only")
        return number, found, wrong, tail
    except Exception as error:  # one kind must not end the others
        return number, None, [f"{type(error).__name__}: {error}"], None
    finally:
        if world:
            world.close()


def result_of(kind, rounds, found, tail):
    return {"store": kind.store, "about": kind.about, "times": rounds, "ticks": found["ticks"], "documents": found["reports"] + found["power"],
            "twice": found["twice"] + found["power_twice"], "without": found["power_missing"] + found["power_extra"] + found["unequal"],
            "gaps": found["gaps"], "counted": found["lost_spool"] + found["lost_late"],
            "cut": max(tail) if kind.cuts and tail else None}


def add_up(results):
    """One row for each kind, in the order of KINDS; with the largest number of ticks cut off."""
    rows = []
    for kind in KINDS:
        same = [result for result in results if (result["store"], result["about"]) == (kind.store, kind.about)]
        if not same:
            continue
        row = dict(same[0])
        for key in ("times", "ticks", "documents", "twice", "without", "gaps", "counted"):
            row[key] = sum(result[key] for result in same)
        cuts = [result["cut"] for result in same if result["cut"] is not None]
        row["cut"] = str(max(cuts)) if cuts else "?" if kind.cuts else ""
        rows.append(row)
    return rows


def write_table(path, rows):
    with open(path, "w") as out:
        out.write("| store | fault | times | ticks | documents | duplicates | without power or with a wrong sum | gaps | counted as lost | cut off, at most |\n"
                  "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
        for row in rows:
            out.write("| " + " | ".join(str(row[key]) for key in ("store", "about", "times", "ticks", "documents", "twice", "without", "gaps", "counted",
                                                                     "cut")) + " |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=TOP + "/build")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--sum")
    parser.add_argument("--markdown")
    arguments = parser.parse_args()
    numbers = [i for i, kind in enumerate(KINDS) if arguments.only in f"{kind.store} {kind.about}"]
    results, failed = [], 0
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        jobs = [pool.submit(run_kind, arguments.build, number, arguments.rounds) for number in numbers]
        for n, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            number, found, wrong, tail = job.result()
            kind = KINDS[number]
            print(f"{'not ok' if wrong else 'ok'} {n} - {kind.store}: {kind.about}, {arguments.rounds} times", flush=True)
            failed += bool(wrong)
            for text in wrong:
                print(f"#   {text}", flush=True)
            if found:
                print(f"#   {found['ticks']} ticks, {found['reports']} reports, {found['power']} power reports, {found['runs']} runs; "
                      f"duplicates {found['twice'] + found['power_twice']}; gaps {found['gaps']}, counted as lost "
                      f"{found['lost_spool'] + found['lost_late']}; cut off {tail}", flush=True)
                results.append(result_of(kind, arguments.rounds, found, tail))
                if arguments.sum:
                    with open(arguments.sum, "a") as out:
                        out.write(json.dumps(results[-1]) + "\n")
    print(f"1..{len(numbers)}")
    if arguments.sum:
        with open(arguments.sum) as lines:
            results = [json.loads(line) for line in lines]
    rows = add_up(results)
    print(f"# {len(rows)} kinds, {sum(row['times'] for row in rows)} faults, {sum(row['documents'] for row in rows)} documents")
    if arguments.markdown:
        write_table(arguments.markdown, rows)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
