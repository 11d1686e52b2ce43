#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the sensor or the server at random points, as fast as they can be restarted; then counts the store's content.

usage: kills.py [--build DIR] [--only WORD] [--kills N] [--sum FILE] [--markdown FILE]      (root; Linux; strace)
Called by faults.sh and by hand; judged by tests/lib/audit.py, which uses only the documents. Each kill hits one process of the
daemon, or all of them, at one of these points, in turn:
  start   up to 0.4 s after the start, at any stage
  work    up to 0.3 s after it was seen to write
  write   at one of its writes: at the n-th pwrite64(2) of a SQLite file (strace), or after the n-th message to the database, the last
          of them often cut in its middle (a proxy); n is random, so it is often between the writes of one tick
Recaps are requested all the time: each one answered with 202 must be stored once. Counters of /metrics must not decrease
while a server runs. Prints TAP, and the seed; WATTRIBUTE_SEED repeats a run.
"""
import argparse
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request

from fault_kinds import Kind
from fault_proxy import Proxy
from fault_world import TOP, World, children_of, send
from faults import judge

POINTS = ("start", "work", "write")


class Trap(Proxy):
    """Calls `spring` once, after a number of messages of the daemon; the last one may have been sent only partly."""

    def __init__(self, port):
        self.left, self.spring, self.part = 0, None, 1.0
        super().__init__(port)

    def arm(self, messages, part, spring):
        self.part, self.spring, self.left = part, spring, messages

    def passes(self, source, sink, data):
        # Only the daemon's side is counted: its connections are the accepted ones.
        if self.left and source.getsockname()[1] == self.port:
            self.left -= 1
            if self.left == 0:
                sink.sendall(data[: max(1, int(len(data) * self.part))])
                self.spring()
                return True
        return super().passes(source, sink, data)


class KillWorld(World):
    """A world whose server writes through a trap, or is started under strace."""

    def __init__(self, build, kind, number):
        self.trap, self.strace, self.asked, self.answered, self.backwards = None, 0, set(), set(), 0
        self.began = []
        super().__init__(build, kind, number)

    def start_database(self):
        super().start_database()
        self.trap = Trap(self.database_port)

    def wrapped(self, command):
        """If self.strace is n, it is killed at the n-th pwrite64() of any of its processes."""
        if not self.strace:
            return command
        return ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e",
                f"inject=pwrite64:signal=KILL:when={self.strace}"] + command

    def start_server(self, i):
        command = [self.build + "/wattribute-server", "-U", f"mongodb://127.0.0.1:{self.trap.port}" if self.trap else self.uri, "--listen",
                   f"127.0.0.1:{self.ports[i]}", "--poll", "20ms", "--discover", "100ms", "--save", "300ms", "--lease", "1s"]
        self.servers[i] = subprocess.Popen(self.wrapped(command), stdout=open(f"{self.folder}/server-{i}.log", "a"), stderr=subprocess.STDOUT)

    def start_sensor(self):
        self.began.append(time.time())
        super().start_sensor()

    def kill_at_write(self, writes):
        """The sensor's `write` is killed at one of its next writes. Another one that takes over is not hit."""
        self.wait(5, lambda: self.child(self.sensor, "write") or self.sensor.poll() is not None)
        pid = self.child(self.sensor, "write")
        if pid:
            subprocess.run(["strace", "-qqq", "-o", "/dev/null", "-p", str(pid), "-e", "trace=pwrite64", "-e",
                            f"inject=pwrite64:signal=KILL:when={writes}"], stderr=subprocess.DEVNULL, timeout=20, check=False)

    def tree(self, process):
        """All processes of a daemon, without the strace that it may run under."""
        pids, waiting = [], [process.pid]
        while waiting:
            pid = waiting.pop()
            pids.append(pid)
            waiting += children_of(pid)
        return pids[1:] if self.strace else pids

    def counters(self):
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in self.get(0, "/metrics").splitlines()
                if re.match(r"wattribute_\w+_total[ {]", line)}

    def ticks(self):
        return sum(value for key, value in self.counters().items() if key.startswith("wattribute_ticks_total"))

    def watch_counters(self):
        before, after = self.counters(), self.counters()
        self.backwards += sum(after[key] < before[key] for key in before if key in after)

    def ask_recap(self, number):
        name, now = f"run{number}", time.time()
        self.asked.add(name)
        path = f"/rapls2/{self.name}?async=1&name={name}&begin={now - 0.5:.3f}&end={now + 0.2:.3f}&timeout=0.1"
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.ports[0]}{path}", method="POST"), timeout=5) as answer:
                if answer.status == 202:
                    self.answered.add(name)
        except OSError:
            pass

    def recap_names(self):
        code = ("import bson, sqlite3, sys; print(*(bson.decode(b)['name'] for (b,) in sqlite3.connect(sys.argv[1]).execute("
                "'SELECT body FROM documents WHERE collection = ?', ('recap' + sys.argv[2],))))")
        if self.trap:
            code = "import pymongo, sys; print(*(d['name'] for d in pymongo.MongoClient(sys.argv[1])['rapls2']['recap' + sys.argv[2]].find()))"
        return subprocess.run([sys.executable, "-c", code, self.audited, self.name], capture_output=True, text=True, check=True).stdout.split()

    def missing(self):
        """For each run whose collect logged its count: the missing ticks, anywhere in the run. SQLite only."""
        database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)
        times = [row[0] / 1000 for row in database.execute("SELECT time FROM documents WHERE collection = ? AND target = 'all'",
                                                           ("sensor" + self.name,))]
        database.close()
        missing = []
        for began, ended, log in zip(self.began, self.began[1:] + [float("inf")], self.runs):
            with open(log, errors="replace") as f:
                match = re.search(r"collect: collect: (\d+) ticks", f.read())
            if match:
                missing.append(int(match.group(1)) - sum(began <= at < ended for at in times))
        return missing


def kill_all(world, process, victim):
    pids = world.tree(process)
    if victim != "all" and pids:
        pids = [world.random.choice(pids)]
    for pid in pids:
        send(pid, signal.SIGKILL)


def end_of(world, process):
    """Waits until it has ended, and ensures that none of its processes is left."""
    pids = world.tree(process)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        for pid in pids + [process.pid]:
            send(pid, signal.SIGKILL)
        process.wait(20)
        return False
    return True


def kill_server_once(world, number):
    point = POINTS[number % 3]
    victim = world.random.choice(["one", "all"])
    sprung = threading.Event()
    if point == "write" and not world.trap:
        world.strace = world.random.randrange(1, 40)
    world.start_server(0)
    server = world.servers[0]
    if point == "start":
        time.sleep(world.random.random() * 0.4)
        kill_all(world, server, victim)
    elif point == "work":
        before = world.ticks()
        world.wait(20, lambda: world.ticks() > before or server.poll() is not None)
        world.watch_counters()
        world.ask_recap(number)
        time.sleep(world.random.random() * 0.3)
        kill_all(world, server, victim)
    elif world.trap:
        world.trap.arm(world.random.randrange(1, 60), world.random.choice([1.0, world.random.random()]),
                       lambda: (kill_all(world, server, victim), sprung.set()))
        if number % 2:
            world.ask_recap(number)
        sprung.wait(20)
        kill_all(world, server, "all")
    else:
        world.wait(20, lambda: server.poll() is not None)
        kill_all(world, server, "all")
    good = end_of(world, server)
    world.strace = 0
    return good


def newest_ms(world):
    """The time of the newest tick in the file."""
    database = sqlite3.connect(f"file:{world.path}?mode=ro", uri=True, timeout=20)
    try:
        return database.execute("SELECT max(time) FROM documents WHERE collection = ?", ("sensor" + world.name,)).fetchone()[0] or 0
    finally:
        database.close()


def kill_sensor_once(world, number):
    point = POINTS[number % 3]
    before = newest_ms(world)
    world.start_sensor()
    sensor = world.sensor
    if point == "start":
        time.sleep(world.random.random() * 0.4)
        kill_all(world, sensor, "one")
    elif point == "work":
        world.wait(20, lambda: newest_ms(world) > before or sensor.poll() is not None)
        time.sleep(world.random.random() * 0.3)
        kill_all(world, sensor, "one")
    else:
        world.kill_at_write(world.random.randrange(1, 60))
    return end_of(world, sensor)


def stop(world, process):
    process.terminate()
    end_of(world, process)


def run(build, kind, number, kills):
    world = KillWorld(build, kind, number)
    print(f"# WATTRIBUTE_SEED={os.environ.get('WATTRIBUTE_SEED', '1')}", flush=True)
    wrong, slow = [], 0
    try:
        if kind.about.startswith("sensor"):
            stop(world, world.sensor)
            for i in range(kills):
                slow += not kill_sensor_once(world, i)
                world.keep_servers()
                if i % 25 == 24:
                    print(f"#   {i + 1} kills", flush=True)
            before = newest_ms(world)
            world.start_sensor()
            world.wait(30, lambda: newest_ms(world) > before)
        else:
            stop(world, world.servers[0])
            for i in range(kills):
                slow += not kill_server_once(world, i)
                world.keep_sensor()
                if i % 25 == 24:
                    print(f"#   {i + 1} kills, {len(world.answered)} recaps answered with 202", flush=True)
            world.start_server(0)
            world.wait(60, world.has_power)
        time.sleep(1)
        world.wait(60, lambda: world.answered <= set(world.recap_names()))
        found = world.finish()
        tail = world.missing() if kind.cuts else []
        if kind.cuts:
            # The tick that a killed `write` held may be older than those that another one has saved.
            found.update(gaps=0, restarts_amiss=0)
        wrong = judge(kind, kills, found, tail)
        names = world.recap_names()
        if len(names) != len(set(names)) or not world.answered <= set(names) or not set(names) <= world.asked:
            wrong.append(f"recaps: {len(world.answered)} were answered with 202, {len(names)} are there, {len(set(names))} different ones")
        if world.backwards:
            wrong.append(f"{world.backwards} counters went backwards")
        if slow:
            wrong.append(f"{slow} times a process outlived its daemon for 20 s")
    finally:
        world.close()
    return wrong, {"store": kind.store, "about": kind.about, "kills": kills, "ticks": found["ticks"], "documents": found["reports"] + found["power"],
                   "twice": found["twice"] + found["power_twice"], "without": found["power_missing"] + found["power_extra"] + found["unequal"],
                   "gaps": sum(tail) if tail else max(0, found["gaps"] - found["lost_late"] - found["lost_spool"]), "cut": max(tail) if tail else "", "recaps": len(world.answered)}


KINDS = [Kind("sqlite", "sensor killed", None, cuts=1), Kind("sqlite", "server killed", None), Kind("mjs", "server killed", None)]
COLUMNS = ("store", "about", "kills", "ticks", "documents", "twice", "without", "gaps", "cut", "recaps")


def write_table(path, rows):
    with open(path, "w") as out:
        out.write("| store | what | kills | ticks | documents | duplicates | without power or with a wrong sum | ticks missing | in one run, at most | recaps answered with 202 |\n"
                  "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
        for row in rows:
            out.write("| " + " | ".join(f"{row[key]:,}" if isinstance(row[key], int) else row[key] for key in COLUMNS) + " |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=TOP + "/build")
    parser.add_argument("--only", default="")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--sum")
    parser.add_argument("--markdown")
    arguments = parser.parse_args()
    rows, failed = [], 0
    wanted = [i for i, kind in enumerate(KINDS) if arguments.only in f"{kind.store}: {kind.about}"]
    for n, i in enumerate(wanted, 1):
        begin = time.monotonic()
        try:
            wrong, row = run(arguments.build, KINDS[i], 900 + i, arguments.kills)
            rows.append(row)
        except Exception as error:  # one kind must not end the others
            wrong, row = [f"{type(error).__name__}: {error}"], None
        failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {n} - {KINDS[i].store}: {KINDS[i].about} {arguments.kills} times, in {time.monotonic() - begin:.0f} s")
        for text in wrong + [json.dumps(row)]:
            print(f"#   {text}", flush=True)
        if arguments.sum and row:
            with open(arguments.sum, "a") as out:
                out.write(json.dumps(row) + "\n")
    print(f"1..{len(wanted)}")
    if arguments.markdown:
        write_table(arguments.markdown, rows)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
