#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unfolds the description of a machine (tests/fake/machines/NAME) into sysfs, procfs and cgroup trees of plain files.

usage: tests/fake/machine.py NAME DIR     makes DIR/sys and DIR/proc
       tests/fake/machine.py --list       the machines;  --pfm NAME: the PMU that libpfm4 calls its cores
A description has one statement per line; '#' starts a comment, which names the source of each fact.
  kernel RELEASE             cpu NAME             cpuinfo KEY VALUE...     (of every CPU)
  pfm NAME                   topology packages=P dies=D cores=C threads=T [offline=LIST] [no-package]
                             cores: of a die; CPUs are numbered as by Linux, second threads after all cores
  power CPUMASK EVENT...     the `power` PMU; CPUMASK: package, die, or a list of CPUs; events without "energy-"
  pmu NAME TYPE [cpumask=LIST|cpus=LIST]     event PMU NAME TERMS [SCALE UNIT]     format PMU TERM BITS
  zone ID NAME RANGE         hwmon N NAME FILE=VALUE...         ('_' in a value of *_label, *_oem_info: a space)
  cgroup v1|v2|hybrid [ro|part]               cgroups PATH...   file PATH TEXT... (\\n: a line's end)  link PATH TARGET
"""
import os
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "machines")
SCALE = "2.3283064365386962890625e-10"  # the kernel counts all RAPL energy in 2^-32 J: arch/x86/events/rapl.c
ENERGY = {"cores": "0x01", "pkg": "0x02", "ram": "0x03", "gpu": "0x04", "psys": "0x05"}


def numbers(text):
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


class Machine:
    def __init__(self, root):
        self.root, self.cpus, self.info, self.cpu = root, [], [], ""
        self.hierarchies = []

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text + "\n")

    def do_kernel(self, release):
        self.write("proc/sys/kernel/osrelease", release)

    def do_cpu(self, *name):
        self.cpu = " ".join(name)

    def do_cpuinfo(self, key, *value):
        self.info.append((key.replace("_", " ") if key != "vendor_id" else key, " ".join(value)))

    def do_pfm(self, name):
        pass

    def do_topology(self, *words):
        shape = dict(word.partition("=")[::2] for word in words)
        packages, dies, cores, threads = (int(shape[key]) for key in ("packages", "dies", "cores", "threads"))
        offline = set(numbers(shape["offline"])) if "offline" in shape else set()
        n_cores = packages * dies * cores
        for cpu in range(n_cores * threads):
            if cpu in offline:
                continue
            at = cpu % n_cores
            package, die, core = at // (dies * cores), at // cores % dies, at % cores
            self.cpus.append((cpu, package, die, core))
            if "no-package" not in shape:
                folder = f"sys/devices/system/cpu/cpu{cpu}/topology/"
                for name, value in (("physical_package_id", package), ("die_id", die), ("core_id", core)):
                    self.write(folder + name, str(value))
        self.write("sys/devices/system/cpu/online", ",".join(str(cpu[0]) for cpu in self.cpus))

    def firsts(self, key):
        seen = {}
        for cpu in self.cpus:
            seen.setdefault(key(cpu), cpu[0])
        return ",".join(str(cpu) for cpu in sorted(seen.values()))

    def mask(self, text):
        if text == "package":
            return self.firsts(lambda cpu: cpu[1])
        if text == "die":
            return self.firsts(lambda cpu: cpu[1:3])
        return self.firsts(lambda cpu: cpu[1:4]) if text == "core" else text

    def do_power(self, mask, *events):
        self.do_pmu("power", "21", "cpumask=" + mask)
        self.do_format("power", "event", "config:0-7")
        for event in events:
            self.do_event("power", "energy-" + event, "event=" + ENERGY[event], SCALE, "Joules")

    def do_pmu(self, name, kind, cpus=None):
        folder = f"sys/bus/event_source/devices/{name}/"
        self.write(folder + "type", kind)
        if cpus:
            key, _, value = cpus.partition("=")
            self.write(folder + key, self.mask(value))

    def do_event(self, pmu, name, terms, scale=None, unit=None):
        path = f"sys/bus/event_source/devices/{pmu}/events/{name}"
        self.write(path, terms)
        if scale:
            self.write(path + ".scale", scale)
            self.write(path + ".unit", unit)

    def do_format(self, pmu, term, bits):
        self.write(f"sys/bus/event_source/devices/{pmu}/format/{term}", bits)

    def do_zone(self, name, title, reach):
        folder = f"sys/class/powercap/{name}/"
        self.write(folder + "name", title)
        self.write(folder + "max_energy_range_uj", reach)
        self.write(folder + "energy_uj", "1000000")

    def do_hwmon(self, number, name, *files):
        folder = f"sys/class/hwmon/hwmon{number}/"
        self.write(folder + "name", name)
        for word in files:
            key, _, value = word.partition("=")
            self.write(folder + key, value.replace("_", " ") if key.endswith(("label", "oem_info")) else value)

    def do_cgroup(self, kind, access=""):
        rights = "ro" if access else "rw"
        root = "/../.." if access == "part" else "/"
        top = "sys/fs/cgroup"
        v1 = {"cpu,cpuacct": "cpu,cpuacct", "perf_event": "perf_event", "cpuset": "cpuset"}
        lines = [f"22 1 0:20 / /sys rw,nosuid - sysfs sysfs rw", f"23 1 0:21 / /proc rw - proc proc rw"]
        if kind == "v2":
            self.hierarchies.append((top, 2))
        else:
            self.hierarchies += [(f"{top}/{name}", 1) for name in v1]
            if kind == "hybrid":
                self.hierarchies.append((f"{top}/unified", 2))
        for number, (path, version) in enumerate(self.hierarchies):
            options = "rw,nsdelegate" if version == 2 else "rw," + v1[os.path.basename(path)]
            lines.append(f"{30 + number} 22 0:{30 + number} {root} /{path} {rights},nosuid - "
                         f"cgroup{'2' if version == 2 else ''} cgroup {options}")
            self.make_cgroup(path, version)
            if version == 1 and access != "part":
                self.write(path + "/cgroup.sane_behavior", "0")
            elif version == 2 and access == "part":
                self.write(path + "/cgroup.type", "domain")
        self.write("proc/self/mountinfo", "\n".join(lines))

    def make_cgroup(self, path, version):
        self.write(path + "/cgroup.procs", "")
        if version == 2:
            self.write(path + "/cpu.stat", "usage_usec 1000\nuser_usec 1000\nsystem_usec 0")
        elif "cpuacct" in path:
            self.write(path + "/cpuacct.usage", "1000000")

    def do_cgroups(self, *paths):
        for path in paths:
            for top, version in self.hierarchies:
                self.make_cgroup(top + path, version)

    def do_link(self, path, target):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        os.symlink(target, full)

    def do_file(self, path, *text):
        self.write(path, " ".join(text).replace("\\n", "\n"))

    def finish(self, name):
        self.write("proc/sys/kernel/hostname", name)
        blocks = []
        for cpu, *_ in self.cpus:
            lines = [f"processor\t: {cpu}"]
            if self.cpu:
                lines.append(f"model name\t: {self.cpu}")
            blocks.append("\n".join(lines + [f"{key}\t: {value}" for key, value in self.info]) + "\n")
        self.write("proc/cpuinfo", "\n".join(blocks))
        self.write("proc/stat", "cpu  100 0 100 1000 0 0 0 0 0 0\n"
                   + "\n".join(f"cpu{cpu[0]} 10 0 10 100 0 0 0 0 0 0" for cpu in self.cpus))


def statements(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        for line in file:
            words = line.partition("#")[0].split()
            if words:
                yield words


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(sorted(os.path.join(folder, name) for folder in os.listdir(HERE)
                               for name in os.listdir(os.path.join(HERE, folder)) if "." not in name)))
    elif len(sys.argv) == 3 and sys.argv[1] == "--pfm":
        print(next((words[1] for words in statements(sys.argv[2]) if words[0] == "pfm"), "perf"))
    elif len(sys.argv) == 3:
        machine = Machine(sys.argv[2])
        for words in statements(sys.argv[1]):
            getattr(machine, "do_" + words[0])(*words[1:])
        machine.finish(os.path.basename(sys.argv[1]))
    else:
        sys.exit(__doc__)


main()
