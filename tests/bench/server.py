#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server compared with smartwatts on a database of MongoDB's protocol, in one run; and many sensors at once.

usage: tests/bench/server.py --mongo URI [--counts 10,100,1000] [--seconds 40] [--peer-python PYTHON] [--sensors 1000]
                             [--build build] [--out build/bench]
--peer-python: an interpreter with the packages smartwatts and powerapi; this script itself needs pymongo.
For each count one simulated sensor writes a report for each container every second. Measured are the number of resulting
power reports (container-ticks), the CPU time that all processes of the server got for them from the scheduler
(schedstat), their memory, and the delay until a container's power could be read from the database.
"""
import argparse
import datetime
import glob
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time

try:
    import pymongo
except ImportError:  # not needed for measuring processes only
    pymongo = None

START_S = 5
WARM_S = 22  # smartwatts holds back five ticks and learns from ten before it answers for containers
CONTAINERS = {"metadata.scope": "cpu", "target": {"$regex": "^container-"}}


def family(pid):
    out = [pid]
    for task in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            for child in open(task, encoding="ascii").read().split():
                out += family(int(child))
        except OSError:
            pass
    return out


class Meter(threading.Thread):
    """CPU time and memory of a process and all its descendants, including those that end meanwhile."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ns, self.peak_kb, self.processes, self.ended = pid, {}, 0, 0, False

    def read(self):
        total_kb, pids = 0, family(self.pid)
        for pid in pids:
            for task in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                try:
                    self.ns[task] = int(open(task, encoding="ascii").read().split()[0])
                except OSError:
                    pass
            try:
                for line in open(f"/proc/{pid}/smaps_rollup", encoding="ascii"):
                    if line.startswith("Rss:"):
                        total_kb += int(line.split()[1])
            except OSError:
                pass
        self.peak_kb, self.processes = max(self.peak_kb, total_kb), max(self.processes, len(pids))

    def run(self):
        while not self.ended:
            self.read()
            time.sleep(0.5)

    def cpu_s(self):
        self.read()
        return sum(self.ns.values()) / 1e9


class Watcher(threading.Thread):
    """When a container's power of each tick could first be read. Earlier ticks are left out."""

    def __init__(self, collection, target):
        super().__init__(daemon=True)
        self.collection, self.target, self.delays, self.ended = collection, target, [], False

    def run(self):
        seen = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        while not self.ended:
            query = {"target": self.target, "timestamp": {"$gt": seen}, "metadata.scope": "cpu"}
            found = list(self.collection.find(query, {"timestamp": 1}))
            now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
            for document in found:
                self.delays.append((now - document["timestamp"]).total_seconds())
                seen = max(seen, document["timestamp"])
            time.sleep(0.04)


def command(options, what, database, collection):
    if what == "wattribute":
        return [f"{options.build}/wattribute-server", "-U", options.mongo, "--database", database, "--listen", "off",
                "--log-level", "warning"]
    pair = ["-u", options.mongo, "-d", database, "-c"]
    return [options.peer_python, "-m", "smartwatts", "-s", "--input", "mongodb", "--name", "in", "--model", "HWPCReport",
            *pair, collection, "--output", "mongodb", "--name", "out", "--model", "PowerReport", *pair,
            collection.replace("sensor", "power")]


def end(process):
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()


def measure(options, client, what, count, log):
    """One server at one count. Container-ticks are counted by power reports of scope cpu."""
    database, collection = f"bench-{what}-{count}", "sensorload0000"
    client.drop_database(database)
    client[database].create_collection(collection)
    powers, load = client[database][collection.replace("sensor", "power")], None
    for _ in range(3):  # smartwatts gives up if one of its processes is slow to start
        server = subprocess.Popen(command(options, what, database, collection), stdout=log, stderr=log,
                                  stdin=subprocess.DEVNULL, start_new_session=True)
        time.sleep(START_S)
        if server.poll() is None:
            break
    try:
        load = subprocess.Popen([f"{options.build}/tests/bench/loadgen", f"{options.mongo}/{database}", "--targets",
                                 str(count), "--ticks", str(options.seconds + WARM_S)], stdout=subprocess.PIPE, text=True)
        time.sleep(WARM_S)
        meter, watcher = Meter(server.pid), Watcher(powers, "container-00000")
        cpu_s, done = -meter.cpu_s(), -powers.count_documents(CONTAINERS)
        meter.start()
        watcher.start()
        time.sleep(options.seconds - 2)
        cpu_s, done = cpu_s + meter.cpu_s(), done + powers.count_documents(CONTAINERS)
        meter.ended = watcher.ended = True
        watcher.join()
        said = load.communicate(timeout=120)[0]
        return {"what": what, "containers": count, "seconds": options.seconds, "container_ticks": done, "cpu_s": cpu_s,
                "per_cpu_s": done / cpu_s if cpu_s else 0, "rss_mb": meter.peak_kb / 1024,
                "processes": meter.processes, "load": said.strip().split("\n")[-1],
                "delay_s": statistics.median(watcher.delays) if watcher.delays else None,
                "delay_max_s": max(watcher.delays, default=None)}
    finally:
        end(server)
        load and load.kill()
        client.drop_database(database)


def alone(options, client, count):
    """The database itself, with the same driver and documents but no server: the lower bound for any server here."""
    database = f"bench-wire-{count}"
    said = subprocess.run([f"{options.build}/tests/bench/bench_wire", f"{options.mongo}/{database}", str(count), "20"],
                          stdout=subprocess.PIPE, text=True, timeout=300, check=True).stdout.strip()
    client.drop_database(database)
    print("#      the database alone: " + said, flush=True)
    return {"what": "database alone", "containers": count, "said": said}


def show(row):
    delay = f"{row['delay_s']:.2f} (at most {row['delay_max_s']:.2f})" if row["delay_s"] is not None else "none came"
    print(f"{row['containers']:>6} {row['what']:<12} {row['container_ticks']:>7} container-ticks "
          f"{row['per_cpu_s']:>9.0f}/CPU-s {row['rss_mb']:>6.0f} MB {row['processes']} processes, delay {delay} s",
          flush=True)
    if "0 ms behind" not in row["load"] and "behind" in row["load"]:
        print("#      the load: " + row["load"], flush=True)


def backlog(options, client, log):
    """All ticks are already stored: the server's cost when it need not wait."""
    database = "bench-backlog"
    client.drop_database(database)
    subprocess.run([f"{options.build}/tests/bench/loadgen", f"{options.mongo}/{database}", "--targets", "1000",
                    "--ticks", "100", "--interval", "0"], stdout=log, timeout=300, check=True)
    before = os.times()
    subprocess.run([f"{options.build}/wattribute-server", "--once", "-U", options.mongo, "--database", database,
                    "--log-level", "warning"], stdout=log, stderr=log, timeout=300, check=True)
    after = os.times()
    cpu_s, wall_s = after[2] + after[3] - before[2] - before[3], after[4] - before[4]
    client.drop_database(database)
    row = {"what": "wattribute, backlog", "containers": 1000, "container_ticks": 100000, "cpu_s": cpu_s,
           "wall_s": wall_s, "per_cpu_s": 100000 / cpu_s}
    print(f"  1000 wattribute, backlog of 100 ticks: {row['per_cpu_s']:.0f} container-ticks/CPU-s; the database lets "
          f"{100000 / wall_s:.0f} of them pass in a second", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mongo", required=True)
    parser.add_argument("--counts", default="10,100,1000")
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--peer-python")
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    parser.add_argument("--out", default="build/bench")
    options = parser.parse_args()
    client, results = pymongo.MongoClient(options.mongo), []
    os.makedirs(options.out, exist_ok=True)
    with open(f"{options.out}/server.log", "w", encoding="utf-8") as log:
        for count in [int(word) for word in options.counts.split(",")]:
            ours = measure(options, client, "wattribute", count, log)
            results.append(ours)
            show(ours)
            results.append(alone(options, client, count))
            if options.peer_python:
                peer = measure(options, client, "smartwatts", count, log)
                results.append(peer)
                show(peer)
                if peer["per_cpu_s"]:
                    ours["ratio"] = ours["per_cpu_s"] / peer["per_cpu_s"]
                    print(f"{count:>6} container-ticks for the same CPU time: {ours['ratio']:.0f} x smartwatts", flush=True)
        results.append(backlog(options, client, log))
    with open(f"{options.out}/server.json", "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)


if __name__ == "__main__":
    sys.exit(main())
