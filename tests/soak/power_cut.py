#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Power cuts of a guest under load: QEMU is killed at random moments, the disk is read again, and its content is counted.

usage: power_cut.py [--build DIR] [--boots N] [--cuts N] [--durable] [--seconds N]      (Debian, x86-64; e2fsprogs, QEMU 10)
Sensor and server write into a SQLite file on ext4. All writes of the guest's disk and its flushes are logged (QEMU's blklogwrites).
A disk after a cut is made from the log: the flushed writes, and a random part of the writes after the last flush, torn at
sectors. One cut is where QEMU was killed, the others are anywhere before. Prints TAP. These must hold:
  intact    the file system is repaired by its journal, SQLite's integrity_check finds nothing
  once      nothing is stored twice, no tick is incomplete, none is missing between others (tests/lib/audit.py)
  continues a server that reads the file afterwards gives every tick its power reports, once
  durable   with --durable: ticks that a reader had seen, and runs answered with 202, before QEMU was killed
"""
import argparse
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RING = TOP + "/tests/kernel/ring.sh"
KERNEL = "6.1-amd64"
MODULES = ["crc32c_generic", "virtio_pci", "virtio_blk", "ext4"]
PROGRAMS = ["bash", "sqlite3", "curl", "date"]
SECTOR, FLUSH, FUA = 512, 1, 2

JOB = """for module in /modules/*.ko; do busybox insmod $module; done
busybox mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /store /dev/shm; busybox mount -t tmpfs none /dev/shm; busybox mount -t ext4 /dev/vda /store || exit 1
mkdir -p /store/state; chmod 777 /store /store/state
for i in 1 2 3; do
	mkdir -p /sys/fs/cgroup/system.slice/wt-$i.service
	sh -c 'echo $$ >/sys/fs/cgroup/system.slice/wt-$0.service/cgroup.procs; while :; do sleep 0.2; done' $i &
done
cd /tmp
wattribute-sensor -n n1 -U sqlite:/store/a.db --state-dir /store/state -f 100ms --energy estimate --tdp 50 --activity cpustat \\
	--keep-idle DURABLE >/tmp/sensor.log 2>&1 &
wattribute-server -U sqlite:/store/a.db --listen 127.0.0.1:4443 --poll 20ms --save 300ms DURABLE >/tmp/server.log 2>&1 &
n=0
while :; do
	n=$((n + 1)); now=$(date +%s)
	seen=$(sqlite3 -readonly -cmd '.timeout 9000' /store/a.db "SELECT max(time) FROM documents WHERE collection = 'sensorn1'" 2>/dev/null)
	[ -z "$seen" ] || echo "SEEN $seen"
	status=$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:4443/rapls2/n1?async=1&name=run-BOOT-$n&begin=$((now - 3)).000&end=$((now + n % 2 * 3600 - 1)).000")
	[ "$status" != 202 ] || echo "TAKEN run-BOOT-$n"
	[ $n != 400 ] || cat /tmp/*.log
done
"""


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def copy(disk, to):
    subprocess.run(["cp", "--sparse=always", disk, to], check=True)


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def ok(self, holds, name, why=""):
        self.n += 1
        self.failed += not holds
        print(f"{'ok' if holds else 'not ok'} {self.n} - {name}" + (f" ({why})" if why and not holds else ""), flush=True)


def add_modules(root, folder):
    """The modules and their dependencies, numbered in loading order."""
    paths, order = {}, []
    for place, _, names in os.walk(root):
        paths.update({name[:-3].replace("-", "_"): f"{place}/{name}" for name in names if name.endswith(".ko")})

    def add(name):
        if name in order:
            return
        with open(paths[name], "rb") as f:
            needs = re.search(rb"\0depends=([^\0]*)\0", f.read()).group(1).decode()
        for other in filter(None, needs.split(",")):
            add(other.replace("-", "_"))
        order.append(name)

    for name in MODULES:
        add(name)
    os.makedirs(folder)
    for i, name in enumerate(order):
        shutil.copy(paths[name], f"{folder}/{i:02}-{name}.ko")


class Guest:
    def __init__(self, build, durable):
        self.folder = tempfile.mkdtemp(prefix="wattribute-cut.")
        self.disk, self.log = self.folder + "/disk", self.folder + "/log"
        self.durable = "--durable" if durable else ""
        self.build, self.root = build, self.folder + "/root"
        for words in (["install"], ["fetch", KERNEL], ["modules", KERNEL],
                      ["root", self.root] + PROGRAMS + [build + "/wattribute-sensor", build + "/wattribute-server"]):
            done = run(RING, *words)
            if done.returncode:
                print(f"1..0 # SKIP {done.stderr.strip().splitlines()[-1]}")
                sys.exit(0)
            if words[0] == "modules":
                add_modules(done.stdout.strip(), self.folder + "/overlay/modules")
        with open(self.disk, "wb") as f:
            f.truncate(96 << 20)
        run("mkfs.ext4", "-q", "-F", self.disk)

    def boot(self, number, seconds):
        """Runs until `seconds` after the first tick is seen, then is killed. Returns the console's lines until then."""
        with open(self.folder + "/overlay/job", "w") as f:
            f.write(JOB.replace("DURABLE", self.durable).replace("BOOT", str(number)))
        copy(self.disk, self.folder + "/base")
        with open(self.log, "wb"):
            pass
        pid_file = self.folder + "/pid"
        if os.path.exists(pid_file):
            os.unlink(pid_file)
        drive = (f"-blockdev driver=file,node-name=d,filename={self.disk} -blockdev driver=file,node-name=l,filename={self.log} "
                 "-blockdev driver=blklogwrites,node-name=b,file=d,log=l,log-sector-size=512 -device virtio-blk-pci,drive=b "
                 f"-pidfile {pid_file}")
        ring = subprocess.Popen([RING, "boot", KERNEL, self.root, self.folder + "/overlay"], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT,
                                env=dict(os.environ, RING_QEMU=drive, RING_SECONDS="900"))
        lines, end = [], None
        os.set_blocking(ring.stdout.fileno(), False)
        held, begin = b"", time.monotonic()
        while (time.monotonic() < end if end else time.monotonic() < begin + 400) and ring.poll() is None:
            held += ring.stdout.read() or b""
            *whole, held = held.split(b"\n")
            lines += [line.decode(errors="replace") for line in whole]
            if end is None and any(line.startswith(b"SEEN") for line in whole):
                end = time.monotonic() + seconds
            time.sleep(0.005)
        if os.path.exists(pid_file):
            with open(pid_file) as f:
                os.kill(int(f.read()), signal.SIGKILL)
        ring.wait()
        return lines

    def read_log(self):
        """The disk's writes and flushes in order: (place on the disk, length, flags, place in the log)."""
        entries, at, size = [], SECTOR, os.path.getsize(self.log)
        with open(self.log, "rb") as f:
            while at + SECTOR <= size:
                f.seek(at)
                place, n, flags, _ = struct.unpack("<4Q", f.read(32))
                if n == 0 and flags == 0:
                    break
                if at + SECTOR * (1 + n) > size:
                    break
                entries.append((place * SECTOR, n * SECTOR, flags, at + SECTOR))
                at += SECTOR * (1 + n)
        return entries

    def make_disk(self, path, entries, cut, part, rng):
        """The disk after a cut before entry `cut`: everything that was flushed, and `part` of the later writes."""
        last = max((i for i in range(cut) if entries[i][2] & FLUSH), default=-1)
        copy(self.folder + "/base", path)
        with open(path, "r+b") as disk, open(self.log, "rb") as log:
            for i, (place, length, flags, at) in enumerate(entries[:cut]):
                if length == 0:
                    continue
                kept = length
                if i > last and not flags & FUA:
                    if rng.random() >= part:
                        continue
                    if part < 1 and rng.random() < 0.2:
                        kept = rng.randrange(length // SECTOR + 1) * SECTOR
                log.seek(at)
                disk.seek(place)
                disk.write(log.read(kept))


def audit(path):
    text = run(sys.executable, TOP + "/tests/lib/audit.py", path, "n1").stdout
    return {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in text.splitlines() if " " in line}


def look(guest, disk, out):
    """Repairs the disk and copies the store from it. Returns the faults, as texts, and the store's path."""
    mended = run("e2fsck", "-f", "-y", disk)
    if mended.returncode > 1:
        return [f"e2fsck: status {mended.returncode}"], None
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(out + suffix):
            os.unlink(out + suffix)
    for name in ("a.db", "a.db-wal"):
        run("debugfs", "-R", f"dump /{name} {out + name[4:]}", disk)
    if not os.path.exists(out) or os.path.getsize(out) == 0:
        return [], None
    database = sqlite3.connect(out)
    try:
        found = database.execute("PRAGMA integrity_check").fetchone()[0]
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return [f"SQLite: {error}"], None
    database.close()
    if found != "ok":
        return [f"integrity_check: {found}"], None
    return [], out if tables else None


def amiss(found, keys):
    return [f"{key} {found.get(key)}" for key in keys if found.get(key) != "0"]


def judge(guest, store):
    """No duplicates, complete ticks without gaps; the same after a server has continued with it."""
    before = audit(store)
    wrong = amiss(before, ("broken", "twice", "power_twice", "incomplete", "headless", "power_extra", "unequal"))
    if int(before["gaps"]) > int(before["lost_late"]) + int(before["lost_spool"]):
        wrong.append(f"gaps {before['gaps']}")
    done = run(guest.build + "/wattribute-server", "--once", "-U", "sqlite:" + store, "--state-dir", guest.folder)
    if done.returncode:
        wrong.append("the server: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    after = audit(store)
    return wrong + amiss(after, ("twice", "power_twice", "power_missing", "power_extra", "unequal")), before


def missing(store, lines):
    """The ticks and runs that had been seen or answered before the cut and are missing."""
    database = sqlite3.connect(store)
    newest = database.execute("SELECT max(time) FROM documents WHERE collection = 'sensorn1'").fetchone()[0] or 0
    bodies = b"".join(bytes(row[0]) for row in database.execute("SELECT body FROM documents WHERE collection LIKE 'state%' OR collection LIKE 'recap%'"))
    database.close()
    seen = [int(line.split()[1]) for line in lines if re.fullmatch(r"SEEN \d+", line)]
    taken = [line.split()[1] for line in lines if re.fullmatch(r"TAKEN run-\d+-\d+", line)]
    lost_ms = max(0, seen[-1] - newest) if seen else 0
    return lost_ms, [name for name in taken if name.encode() + b"\0" not in bodies], len(taken)


def cut_boot(guest, tap, number, options, rng, sums):
    lines = guest.boot(number, options.seconds * rng.uniform(0.3, 1))
    entries = guest.read_log()
    tap.ok(any(line.startswith("SEEN") for line in lines), f"boot {number}: the guest measured until it was killed", "; ".join(lines[-3:]))
    store, next_disk = guest.folder + "/cut.db", guest.folder + "/next"
    ways = [(len(entries), 0.0), (len(entries), 0.5)] + [(rng.randrange(1, len(entries) + 1), rng.choice((0.0, 0.5, 0.9, 1.0)))
                                                          for _ in range(options.cuts)]
    wrong = []
    for i, (cut, part) in enumerate(ways):
        disk = next_disk if i == 0 else guest.folder + "/cut"
        guest.make_disk(disk, entries, cut, part, rng)
        found, path = look(guest, disk, store)
        sums["cuts"] += 1
        if path:
            if i < 2:
                lost_ms, runs, n_taken = missing(path, lines)
                sums["lost_ms"] = max(sums["lost_ms"], lost_ms)
                sums["taken"] += n_taken if i == 0 else 0
                sums["runs_lost"] += len(runs) if i == 0 else 0
                if options.durable and (lost_ms or runs):
                    found.append(f"{lost_ms} ms of ticks that had been seen, runs {runs} of {n_taken}")
            more, counts = judge(guest, path)
            found += more
            sums["documents"] = int(counts["reports"]) + int(counts["power"])
            sums["ticks"] = int(counts["ticks"])
        wrong += [f"cut before write {cut} of {len(entries)}, {part} of the rest: {text}" for text in found]
    tap.ok(not wrong, f"boot {number}: {len(ways)} cuts among {len(entries)} writes and flushes", "; ".join(wrong[:3]))
    for text in wrong:
        print(f"#   {text}")
    shutil.move(next_disk, guest.disk)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=TOP + "/build")
    parser.add_argument("--boots", type=int, default=5)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--durable", action="store_true")
    options = parser.parse_args()
    seed = int(os.environ.get("WATTRIBUTE_SEED", str(int.from_bytes(os.urandom(2), "little"))))
    print(f"# WATTRIBUTE_SEED={seed}")
    rng, tap = random.Random(seed), Tap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    guest = Guest(os.path.abspath(options.build), options.durable)
    sums = dict.fromkeys(("cuts", "lost_ms", "taken", "runs_lost", "documents", "ticks"), 0)
    try:
        for number in range(1, options.boots + 1):
            cut_boot(guest, tap, number, options, rng, sums)
    finally:
        if not os.environ.get("TAP_KEEP"):
            shutil.rmtree(guest.folder, ignore_errors=True)
    print(f"# {options.boots} boots, {sums['cuts']} cuts, {sums['ticks']} ticks and {sums['documents']} documents in the end; of what had been seen "
          f"at most {sums['lost_ms']} ms were gone; {sums['runs_lost']} of {sums['taken']} runs")
    print(f"1..{tap.n}")
    sys.exit(1 if tap.failed else 0)


main()
