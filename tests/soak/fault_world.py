# SPDX-License-Identifier: Apache-2.0
"""A store, a sensor and servers for one kind of fault: starts them, keeps them running, and counts the store's content at the end."""
import glob
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

from fault_proxy import Proxy, free_port

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CGROUP = "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def duty_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            match = re.search(rb"WATTRIBUTE_DUTY=([a-z-]+)", f.read())
            return match.group(1).decode() if match else ""
    except OSError:
        return ""


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class World:
    """A store, a sensor that measures some cgroups of its own, and one or two servers."""

    def __init__(self, build, kind, number):
        self.build, self.kind = build, kind
        self.random = random.Random(int(os.environ.get("WATTRIBUTE_SEED", "1")) * 1000 + number)
        self.folder = tempfile.mkdtemp(prefix="wattribute-soak.")
        os.chmod(self.folder, 0o755)
        os.mkdir(self.folder + "/state")
        os.chmod(self.folder + "/state", 0o777)
        self.name, self.tag = f"soak{number}", f"wt-{os.getpid()}-{number}-"
        self.proxy = self.database = None
        self.idle, self.crashed, self.hit = [], [], 0
        self.environment = dict(os.environ)
        if kind.memory:
            os.mkdir(self.folder + "/alloc")
            os.chmod(self.folder + "/alloc", 0o777)
            self.environment.update(LD_PRELOAD=build + "/tests/soak/fail_alloc.so", FAIL_ALLOC=self.folder + "/alloc")
        self.groups, self.workers, self.runs, self.servers, self.ports = [], [], [], [None, None], [free_port(), free_port()]
        self.n_servers = 2 if kind.standby else 1
        if kind.store == "sqlite":
            self.path = self.folder + "/a.db"
            self.uri = "sqlite:" + self.path
            self.audited = self.path
        else:
            self.database_port = free_port()
            self.start_database()
            self.proxy = Proxy(self.database_port)
            self.uri = f"mongodb://127.0.0.1:{self.proxy.port}"
            self.audited = f"mongodb://127.0.0.1:{self.database_port}"
        for i in range(3):
            self.add_target(i)
        for i in range(int(os.environ.get("WATTRIBUTE_IDLE", "0"))):
            self.add_idle(i)
        self.sensor = None
        self.start_sensor()
        self.keep_servers()
        if not self.wait(60, self.has_power):
            raise RuntimeError("sensor and server do not start")

    # --- parts ---
    def start_database(self):
        cache = os.environ.get("WATTRIBUTE_CACHE", os.path.expanduser("~/.cache/wattribute"))
        log = open(self.folder + "/database.log", "a")
        if self.kind.store == "mjs":
            built = cache + "/mongo-java-server-1.47.0"
            command = ["java", "-cp", f"{built}/lib/*:{built}", "Wire", "127.0.0.1", str(self.database_port)]
        else:
            os.makedirs(self.folder + "/data", exist_ok=True)
            command = [cache + "/ferretdb-v1.24.0/ferretdb", "--handler=sqlite", f"--sqlite-url=file:{self.folder}/data/",
                       f"--state-dir={self.folder}", "--debug-addr=-", "--telemetry=disable", "--log-level=warn",
                       f"--listen-addr=127.0.0.1:{self.database_port}"]
        self.database = subprocess.Popen(command, stdout=log, stderr=log)
        if not self.wait(60, self.database_answers):
            raise RuntimeError("the database does not start")

    def database_answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.database_port), 1).close()
            return True
        except OSError:
            return False

    def add_target(self, i):
        group = f"{CGROUP}/system.slice/{self.tag}{i}.service"
        os.makedirs(group, exist_ok=True)
        worker = subprocess.Popen(["sh", "-c", f'echo $$ >"{group}/cgroup.procs"; while :; do sleep 0.03; done'])
        self.groups.append(group)
        self.workers.append(worker)

    def add_idle(self, i):
        """A target that only makes the ticks larger: --keep-idle reports it, too."""
        group = f"{CGROUP}/system.slice/{self.tag}idle{i}.service"
        os.makedirs(group, exist_ok=True)
        worker = subprocess.Popen(["sh", "-c", f'echo $$ >"{group}/cgroup.procs"; exec sleep 86400'])
        self.idle.append((group, worker))

    def remove_target(self):
        group, worker = self.groups.pop(0), self.workers.pop(0)
        self.remove(group, worker)

    @staticmethod
    def remove(group, worker):
        worker.kill()
        worker.wait()
        for _ in range(100):
            try:
                os.rmdir(group)
                return
            except FileNotFoundError:
                return
            except OSError:
                # the worker's own child may still be there
                with open(group + "/cgroup.procs") as f:
                    for pid in f.read().split():
                        send(int(pid), signal.SIGKILL)
                time.sleep(0.02)

    def start_sensor(self):
        log = f"{self.folder}/sensor-{len(self.runs)}.log"
        self.sensor = subprocess.Popen(
            [self.build + "/wattribute-sensor", "-n", self.name, "-U", self.uri, "--state-dir", self.folder + "/state", "-f", "100ms",
             "--energy", "estimate", "--tdp", "50", "--activity", "cpustat", "--store-timeout", "1s", "--include", f"*{self.tag}*",
             "--keep-idle"], stdout=open(log, "w"), stderr=subprocess.STDOUT, env=self.environment)
        self.runs.append(log)

    def note_crash(self, process):
        if process and process.poll() in (-signal.SIGILL, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGSEGV):
            self.crashed.append(f"{process.args[0]}: signal {-process.poll()}")

    def keep_sensor(self):
        if self.sensor.poll() is not None:
            self.note_crash(self.sensor)
            self.start_sensor()

    def start_server(self, i):
        self.servers[i] = subprocess.Popen(
            [self.build + "/wattribute-server", "-U", self.uri, "--listen", f"127.0.0.1:{self.ports[i]}", "--poll", "20ms", "--discover",
             "100ms", "--save", "300ms", "--lease", "1s" if self.kind.store == "sqlite" else "3s"],
            stdout=open(f"{self.folder}/server-{i}.log", "a"), stderr=subprocess.STDOUT, env=self.environment)

    def keep_servers(self):
        for i in range(self.n_servers):
            if self.servers[i] is None or self.servers[i].poll() is not None:
                self.note_crash(self.servers[i])
                self.start_server(i)

    def get(self, i, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[i]}{path}", timeout=3) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def has_power(self):
        self.keep_servers()
        return any(re.search(r"^wattribute_ticks_total.* [1-9]", self.get(i, "/metrics"), re.M) for i in range(self.n_servers))

    def writer(self):
        """The index of the server that writes, or None."""
        for i in range(self.n_servers):
            if '"writer"' in self.get(i, "/healthz").replace('"writer":', ""):
                return i
        return None

    def is_up(self):
        """The sensor measures, and a server answers: a fault before that would have no effect."""
        self.keep_sensor()
        self.keep_servers()
        with open(self.runs[-1], errors="replace") as f:
            measures = "collect: measuring" in f.read()
        return measures and all(self.get(i, "/healthz") for i in range(self.n_servers))

    @staticmethod
    def wait(seconds, condition):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.1)
        return condition()

    def family(self, process):
        return [process.pid] + children_of(process.pid)

    def child(self, process, duty):
        for pid in children_of(process.pid):
            if duty_of(pid) == duty:
                return pid
        return None

    # --- the end ---
    def crashes(self):
        """Crashes: by a signal from the processor, or by a report of a sanitizer."""
        found = list(self.crashed)
        for log in glob.glob(self.folder + "/se*.log"):
            with open(log, errors="replace") as f:
                found += [line.strip() for line in f if re.search(r"signal (4|7|8|11)$|Sanitizer|runtime error", line)]
        return found

    def audit(self, key=None):
        text = subprocess.run([sys.executable, TOP + "/tests/lib/audit.py", self.audited, self.name] + ([key] if key else []),
                              capture_output=True, text=True, check=False).stdout
        return text.strip() if key else dict(line.split(" ", 1) for line in text.splitlines() if " " in line)

    def spooled(self):
        """Ticks waiting in the sensor's spool: its documents for `all`, found by the bytes of this name."""
        path = f"{self.folder}/state/spool/{self.name}.db"
        if not os.path.exists(path):
            return 0
        database = sqlite3.connect(path, timeout=5)
        try:
            rows = database.execute("SELECT documents FROM spool WHERE collection = ?", ("sensor" + self.name,)).fetchall()
        finally:
            database.close()
        return sum(body.count(b"\x02target\0\x04\0\0\0all\0") for (body,) in rows)

    def spool_is_empty(self):
        try:
            return self.spooled() == 0
        except sqlite3.Error:
            return False

    def is_complete(self):
        self.keep_servers()
        return self.audit("power_missing") == "0"

    def finish(self):
        self.sensor.send_signal(signal.SIGTERM)
        self.sensor.wait(60)
        if self.proxy:
            # Ticks waiting in the spool are delivered by a last run, which measures as little as possible.
            self.start_sensor()
            time.sleep(3)
            self.wait(60, self.spool_is_empty)
            self.sensor.send_signal(signal.SIGTERM)
            self.sensor.wait(60)
        self.wait(120, self.is_complete)
        found = self.audit()
        return {key: (value if key == "ends" else int(float(value))) for key, value in found.items()} if found else {}

    def tail(self, found):
        """Ticks that collect has counted and that are not in the store, over all runs whose collect logged its count."""
        stored = [int(end.split("@")[0]) for end in found.get("ends", "").split()] + [found["last_seq"]]
        missing = []
        counted = []
        for log in self.runs:
            with open(log, errors="replace") as f:
                match = re.search(r"collect: collect: (\d+) ticks", f.read())
            counted.append(int(match.group(1)) if match else None)
        # A run without stored ticks has no end: then the two lists cannot be compared one by one.
        if len(stored) != len([n for n in counted if n is None or n > 0]):
            return None
        # Ticks of the last run that still wait in the spool are not lost.
        waiting = self.spooled() if self.proxy else 0
        stored = iter(stored)
        for number in counted:
            if number == 0:
                continue
            last = next(stored)
            if number is not None:
                missing.append(max(0, number - last))
        if missing and waiting:
            missing[-1] = max(0, missing[-1] - waiting)
        return missing

    def close(self):
        for process in [self.sensor] + self.servers + [self.database]:
            if process is None or process.poll() is not None:
                continue
            for pid in self.family(process):
                send(pid, signal.SIGCONT)
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        for group, worker in list(zip(self.groups, self.workers)) + self.idle:
            self.remove(group, worker)
        if not os.environ.get("TAP_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
