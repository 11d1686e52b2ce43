# SPDX-License-Identifier: Apache-2.0
"""The kinds of fault. Each does its harm once to a World; the caller restarts what has ended."""
import os
import resource
import signal
import sqlite3
import subprocess
import time

from fault_world import send


def kill_sensor(duty):
    def fault(world):
        pid = world.sensor.pid if duty == "first" else world.child(world.sensor, duty)
        if pid:
            send(pid, signal.SIGKILL)
        world.sensor.wait(60)
        time.sleep(0.3)
    return fault


def end_sensor(world):
    world.sensor.terminate()
    world.sensor.wait(60)


def pause(which, duty, seconds):
    def fault(world):
        process = world.sensor if which == "sensor" else world.servers[0]
        pids = world.family(process) if duty == "all" else [process.pid if duty == "first" else world.child(process, duty)]
        for pid in filter(None, pids):
            send(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in filter(None, pids):
            send(pid, signal.SIGCONT)
    return fault


def kill_server(duty):
    def fault(world):
        server = world.servers[0]
        pids = {"first": [server.pid], "store": [world.child(server, "store")], "all": world.family(server)}[duty]
        for pid in filter(None, pids):
            send(pid, signal.SIGKILL)
        server.wait(60)
    return fault


def end_server(world):
    world.servers[0].terminate()
    world.servers[0].wait(60)


def change_writer(stop):
    def fault(world):
        world.wait(30, lambda: world.writer() is not None)
        i = world.writer()
        if i is None:
            return
        pids = world.family(world.servers[i])
        for pid in pids:
            send(pid, signal.SIGSTOP if stop else signal.SIGKILL)
        world.wait(8, lambda: world.writer() == 1 - i)
        for pid in pids:
            send(pid, signal.SIGCONT)
    return fault


def lock_file(world):
    database = sqlite3.connect(world.path, timeout=10, isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    time.sleep(3)
    database.execute("ROLLBACK")
    database.close()


def limit(which, number, value, seconds):
    def fault(world):
        process = world.sensor if which == "sensor" else world.servers[0]
        before = {}
        for pid in world.family(process):
            try:
                before[pid] = resource.prlimit(pid, number)
                resource.prlimit(pid, number, (value, before[pid][1]))
            except (ProcessLookupError, PermissionError):
                pass
        time.sleep(seconds)
        for pid, old in before.items():
            try:
                resource.prlimit(pid, number, old)
            except (ProcessLookupError, PermissionError):
                pass
    return fault


def nonsense(world):
    database = sqlite3.connect(world.path, timeout=20)
    for _ in range(200):
        body = bytes(world.random.randrange(256) for _ in range(world.random.randrange(1, 120)))
        database.execute("INSERT INTO documents (collection, id, time, target, body) VALUES (?, ?, ?, 'x', ?)",
                         ("sensor" + world.name, os.urandom(12), int(time.time() * 1000), body))
    database.commit()
    database.close()


def churn(same_name):
    def fault(world):
        for i in range(15):
            world.remove_target()
            world.add_target(world.random.randrange(3) if same_name else 100 + world.random.randrange(10 ** 6))
            time.sleep(0.05)
    return fault


def starve(world):
    loops = [subprocess.Popen(["nice", "-n", "-5", "sh", "-c", "while :; do :; done"]) for _ in range(2 * os.cpu_count())]
    time.sleep(3)
    for loop in loops:
        loop.kill()
        loop.wait()


def proxy(mode, seconds):
    def fault(world):
        if mode == "refuse":
            world.proxy.refuse(seconds)
            return
        world.proxy.mode = mode
        time.sleep(seconds)
        world.proxy.mode = "pass"
        if mode == "hole":
            world.proxy.drop_all()
    return fault


def kill_in_hole(world):
    world.proxy.mode = "hole"
    time.sleep(1)
    kill_sensor("first")(world)
    world.proxy.mode = "pass"
    world.proxy.drop_all()


def kill_while_slow(world):
    """The killed sensor's `write` has much to deliver when the next sensor begins; within --store-timeout each time."""
    world.proxy.mode = "lag"
    time.sleep(3)
    kill_sensor("first")(world)
    world.keep_sensor()
    time.sleep(4)
    world.proxy.mode = "pass"


def stop_database(world):
    world.database.send_signal(signal.SIGSTOP)
    time.sleep(3)
    world.database.send_signal(signal.SIGCONT)


def kill_database(world):
    world.database.kill()
    world.database.wait()
    time.sleep(1)
    world.start_database()


class Kind:
    def __init__(self, store, about, fault, standby=False, cuts=0):
        self.store, self.about, self.fault, self.standby, self.cuts = store, about, fault, standby, cuts


KINDS = [
    Kind("sqlite", "sensor: first process killed", kill_sensor("first"), cuts=1),
    Kind("sqlite", "sensor: `collect` killed", kill_sensor("collect"), cuts=1),
    Kind("sqlite", "sensor: `write` killed", kill_sensor("write"), cuts=1),
    Kind("sqlite", "sensor: ended and started", end_sensor),
    Kind("sqlite", "sensor: all processes stopped for 3 s", pause("sensor", "all", 3)),
    Kind("sqlite", "sensor: `collect` stopped for 3 s", pause("sensor", "collect", 3)),
    Kind("sqlite", "sensor: `write` stopped for 3 s", pause("sensor", "write", 3)),
    Kind("sqlite", "sensor: first process stopped for 3 s", pause("sensor", "first", 3)),
    Kind("sqlite", "sensor: 16 descriptors for 2 s", limit("sensor", resource.RLIMIT_NOFILE, 16, 2)),
    Kind("sqlite", "sensor: containers that come and go, 15 in a second", churn(False)),
    Kind("sqlite", "sensor: containers of one name, ended and started", churn(True)),
    Kind("sqlite", "both: no CPU left, for 3 s", starve),
    Kind("sqlite", "both: the store's file locked for 3 s", lock_file),
    Kind("sqlite", "sensor: files limited to 64 KiB for 2 s", limit("sensor", resource.RLIMIT_FSIZE, 65536, 2), cuts=1),
    Kind("sqlite", "server: files limited to 64 KiB for 2 s", limit("server", resource.RLIMIT_FSIZE, 65536, 2)),
    Kind("sqlite", "server: 200 malformed documents among the reports", nonsense),
    Kind("sqlite", "server: loop killed", kill_server("first")),
    Kind("sqlite", "server: `store` killed", kill_server("store")),
    Kind("sqlite", "server: both processes killed at once", kill_server("all")),
    Kind("sqlite", "server: ended and started", end_server),
    Kind("sqlite", "server: all processes stopped for 3 s", pause("server", "all", 3)),
    Kind("sqlite", "server: `store` stopped for 3 s", pause("server", "store", 3)),
    Kind("sqlite", "server: loop stopped for 3 s", pause("server", "first", 3)),
    Kind("sqlite", "two servers: the writer killed", change_writer(False), standby=True),
    Kind("sqlite", "two servers: the writer paused until superseded", change_writer(True), standby=True),
    Kind("mjs", "database refuses connections for 3 s", proxy("refuse", 3)),
    Kind("mjs", "connections cut in the middle of a message, for 2 s", proxy("cut", 2)),
    Kind("mjs", "black hole for 4 s", proxy("hole", 4)),
    Kind("mjs", "each message 0.7 s late, for 4 s", proxy("slow", 4)),
    Kind("mjs", "sensor killed in a black hole", kill_in_hole, cuts=1),
    Kind("mjs", "sensor: first process killed while each message is 0.3 s late", kill_while_slow, cuts=1),
    Kind("mjs", "database stopped for 3 s", stop_database),
    Kind("mjs", "sensor: first process killed", kill_sensor("first"), cuts=1),
    Kind("mjs", "sensor: `write` killed", kill_sensor("write"), cuts=1),
    Kind("mjs", "server: loop killed", kill_server("first")),
    Kind("mjs", "server: `store` killed", kill_server("store")),
    Kind("mjs", "server: both processes killed at once", kill_server("all")),
    Kind("mjs", "two servers: the writer killed", change_writer(False), standby=True),
    Kind("mjs", "two servers: the writer paused until superseded", change_writer(True), standby=True),
    Kind("ferretdb", "database killed, back after a second", kill_database),
]
