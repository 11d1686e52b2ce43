# SPDX-License-Identifier: Apache-2.0
"""The kinds of fault. Each is applied once to a World; the caller restarts ended processes."""
import os
import resource
import signal
import sqlite3
import struct
import subprocess
import time
import urllib.request

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
    """The killed sensor's `write` has a backlog to deliver when the next sensor begins; within --store-timeout each time."""
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


def process_of(world, which, duty):
    process = world.sensor if which == "sensor" else world.servers[0]
    return process.pid if duty == "first" else world.child(process, duty)


def sleeps(pid):
    """It waits in the kernel. If strace detaches during a call instead, the call fails with EPERM in a process with a seccomp filter."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "SZ"
    except OSError:
        return True


def inject(processes, calls, error, every, seconds):
    """Every n-th of these system calls fails without being executed (strace)."""
    def fault(world):
        pids = [pid for pid in (process_of(world, which, duty) for which, duty in processes) if pid]
        tracers = [subprocess.Popen(["strace", "-qqq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={calls}", "-e",
                                     f"inject={calls}:error={error}:when={world.random.randrange(1, every + 1)}+{every}"],
                                    stderr=subprocess.DEVNULL) for pid in pids]
        time.sleep(seconds)
        for pid, tracer in zip(pids, tracers):
            end = time.monotonic() + 5
            while not sleeps(pid) and time.monotonic() < end:
                time.sleep(0.001)
            tracer.terminate()
            tracer.wait()
    return fault


def work_for_server(world):
    """Requests of several kinds: their allocations may fail, too."""
    now = time.time()
    world.get(0, "/metrics")
    world.get(0, "/api/latest")
    world.get(0, f"/rapls2/{world.name}/recaps?limit=20")
    path = f"/rapls2/{world.name}?async=1&name=run{world.random.randrange(10 ** 9)}&begin={now - 0.5:.3f}&end={now:.3f}&timeout=0.1"
    try:
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{world.ports[0]}{path}", method="POST"), timeout=3).close()
    except OSError:
        pass


def plan_of(path):
    """Allocations until the next one that fails (0: none will), and whether one has failed."""
    with open(path, "rb") as plan:
        left, _, failed = struct.unpack("<qqq", plan.read(24))
    return left, failed > 0


def allocations(which, duty):
    """One to three allocations of that process fail, sooner or later; it may exit because of that, but must not crash."""
    def fault(world):
        process = world.sensor if which == "sensor" else world.servers[0]
        pid = process_of(world, which, duty)
        path = f"{world.folder}/alloc/{pid}"
        if not pid or not os.path.exists(path):
            return
        with open(path, "r+b") as plan:
            plan.write(struct.pack("<qqq", world.random.choice([5, 50, 300]) * world.random.randrange(2, 40) // 10, world.random.choice([1, 1, 3]), 0))
        wanted = time.monotonic() + 20
        while time.monotonic() < wanted and process.poll() is None:
            if which == "server":
                work_for_server(world)
            else:
                world.remove_target()
                world.add_target(100 + world.random.randrange(10 ** 6))
            if plan_of(path) == (0, True):
                break
            time.sleep(0.05)
        if process.poll() is None:
            world.wait(3, lambda: process.poll() is not None)
        world.hit += plan_of(path)[1]
    return fault


class Kind:
    """cuts: ticks that a run may lack at its end are counted; hands: also those that a killed `write` held, before those that
    another one has stored; memory: started with fail_alloc.so. (The sensor's first process allocates nothing once it measures.)"""

    def __init__(self, store, about, fault, standby=False, cuts=0, hands=0, memory=False):
        self.store, self.about, self.fault, self.standby, self.cuts = store, about, fault, standby, cuts
        self.hands, self.memory = hands, memory


# Seconds for a stopped process, and for an absent database: longer ones are for long runs.
PAUSE_S, AWAY_S = int(os.environ.get("WATTRIBUTE_PAUSE", "3")), int(os.environ.get("WATTRIBUTE_AWAY", "3"))
SENSOR = [("sensor", "first"), ("sensor", "collect"), ("sensor", "write")]
SERVER = [("server", "first"), ("server", "store")]
FILES = [("sensor", "write"), ("server", "store")]
WAITING = "read,write,readv,writev,recvfrom,recvmsg,sendto,sendmsg,sendmmsg,poll,ppoll,epoll_wait,epoll_pwait,accept4,connect,wait4,clock_nanosleep"
WRITING = "pwrite64,fsync,fdatasync,ftruncate"

KINDS = [
    Kind("sqlite", "sensor: first process killed", kill_sensor("first"), cuts=1),
    Kind("sqlite", "sensor: `collect` killed", kill_sensor("collect"), cuts=1),
    Kind("sqlite", "sensor: `write` killed", kill_sensor("write"), cuts=1),
    Kind("sqlite", "sensor: terminated and restarted", end_sensor),
    Kind("sqlite", f"sensor: all processes stopped for {PAUSE_S} s", pause("sensor", "all", PAUSE_S)),
    Kind("sqlite", f"sensor: `collect` stopped for {PAUSE_S} s", pause("sensor", "collect", PAUSE_S)),
    Kind("sqlite", f"sensor: `write` stopped for {PAUSE_S} s", pause("sensor", "write", PAUSE_S)),
    Kind("sqlite", f"sensor: first process stopped for {PAUSE_S} s", pause("sensor", "first", PAUSE_S)),
    Kind("sqlite", "sensor: 16 descriptors for 2 s", limit("sensor", resource.RLIMIT_NOFILE, 16, 2)),
    Kind("sqlite", "sensor: containers that come and go, 15 per second", churn(False)),
    Kind("sqlite", "sensor: containers with one name, terminated and restarted", churn(True)),
    Kind("sqlite", "both: no CPU time left, for 3 s", starve),
    Kind("sqlite", "both: the store's file locked for 3 s", lock_file),
    Kind("sqlite", "sensor: files limited to 64 KiB for 2 s", limit("sensor", resource.RLIMIT_FSIZE, 65536, 2), cuts=1),
    Kind("sqlite", "server: files limited to 64 KiB for 2 s", limit("server", resource.RLIMIT_FSIZE, 65536, 2)),
    Kind("sqlite", "server: 200 malformed documents among the reports", nonsense),
    Kind("sqlite", "server: loop killed", kill_server("first")),
    Kind("sqlite", "server: `store` killed", kill_server("store")),
    Kind("sqlite", "server: both processes killed at once", kill_server("all")),
    Kind("sqlite", "server: terminated and restarted", end_server),
    Kind("sqlite", f"server: all processes stopped for {PAUSE_S} s", pause("server", "all", PAUSE_S)),
    Kind("sqlite", f"server: `store` stopped for {PAUSE_S} s", pause("server", "store", PAUSE_S)),
    Kind("sqlite", f"server: loop stopped for {PAUSE_S} s", pause("server", "first", PAUSE_S)),
    Kind("sqlite", "two servers: the writer killed", change_writer(False), standby=True),
    Kind("sqlite", "two servers: the writer paused until superseded", change_writer(True), standby=True),
    Kind("sqlite", "sensor: allocations of `collect` fail", allocations("sensor", "collect"), cuts=1, memory=True),
    Kind("sqlite", "sensor: allocations of `write` fail", allocations("sensor", "write"), cuts=1, hands=1, memory=True),
    Kind("sqlite", "server: allocations of the loop fail", allocations("server", "first"), memory=True),
    Kind("sqlite", "server: allocations of `store` fail", allocations("server", "store"), memory=True),
    Kind("sqlite", "sensor: every third call that waits is interrupted (EINTR), for 2 s", inject(SENSOR, WAITING, "EINTR", 3, 2)),
    Kind("sqlite", "server: every third call that waits is interrupted (EINTR), for 2 s", inject(SERVER, WAITING, "EINTR", 3, 2)),
    Kind("sqlite", "both: disk quota exhausted (EDQUOT), for 2 s", inject(FILES, WRITING, "EDQUOT", 1, 2)),
    Kind("sqlite", "both: intermittent disk errors (EIO), for 2 s", inject(FILES, WRITING, "EIO", 4, 2)),
    Kind("mjs", f"database refuses connections for {AWAY_S} s", proxy("refuse", AWAY_S)),
    Kind("mjs", "connections cut in the middle of a message, for 2 s", proxy("cut", 2)),
    Kind("mjs", "black hole for 4 s", proxy("hole", 4)),
    Kind("mjs", "each message 0.7 s late, for 4 s", proxy("slow", 4)),
    Kind("mjs", "each message 5 s late, for 12 s", proxy("late", 12)),
    Kind("mjs", "sensor killed in a black hole", kill_in_hole, cuts=1),
    Kind("mjs", "sensor: first process killed while each message is 0.3 s late", kill_while_slow, cuts=1),
    Kind("mjs", "sensor: every third call that waits is interrupted (EINTR), for 2 s", inject(SENSOR, WAITING, "EINTR", 3, 2)),
    Kind("mjs", "server: every third call that waits is interrupted (EINTR), for 2 s", inject(SERVER, WAITING, "EINTR", 3, 2)),
    Kind("mjs", "sensor: allocations of `write` fail", allocations("sensor", "write"), cuts=1, hands=1, memory=True),
    Kind("mjs", "server: allocations of `store` fail", allocations("server", "store"), memory=True),
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
