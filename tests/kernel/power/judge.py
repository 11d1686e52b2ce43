# SPDX-License-Identifier: Apache-2.0
"""Compares the sensor's reports of tests/kernel/power/guest.sh with the module's counters. Each tick's joules must be
the difference between two readings of the journal, the first of which is the last one of the tick before (bridged if a tick has
none). A chain may break only where a counter restarted at 0. usage: judge.py CONSOLE; prints "ok …" and "not ok …"."""
import base64
import gzip
import json
import re
import sys

# scenario: path in the journal, ticks at least, breaks at most, ticks without energy (at least, at most), words, the log has
SCENARIOS = {
    "perf": ("p", 9, 0, (0, 0), ["in-use"], "group 'rapl': rapl"),
    "wraps": ("z", 2, 0, (0, 0), [], "group 'rapl': powercap"),
    "fails": ("z", 9, 1, (3, 9), [], "was reset"),
    "reload": ("z", 7, 1, (2, 90), ["unloaded", "again"], "can be read again"),
    "late-zones": ("z", 8, 1, (0, 2), ["wider"], "powercap now has more counters: 1 events of 2 sockets"),
    "late-perf": ("p", 8, 1, (0, 2), ["wider"], "rapl now has more counters: 1 events of 2 sockets"),
    "retyped": ("p", 7, 1, (2, 90), ["unloaded", "retyped", "again"], "cannot be read"),
}


def say(good, what):
    print(("ok " if good else "not ok ") + what)


def chain(ticks, lives):
    """(ticks that are differences of two readings, ticks that are not, breaks)"""
    readings = [(life, value) for life, values in enumerate(lives) for value in values]
    now, matched, strange, breaks = None, 0, 0, 0
    for joules in ticks:
        def after(starts):
            return {b for a in starts for b in range(a + 1, len(readings))
                    if readings[a][0] == readings[b][0] and abs(readings[b][1] - readings[a][1] - joules) < 3e-6}
        found = after(now) if now is not None else after(range(len(readings)))
        if not found:
            breaks += now is not None
            found = after(range(len(readings)))
        if found:
            matched += 1
            now = found
        else:
            strange += 1
    return matched, strange, breaks


def judge(name, status, words, parts):
    path, least, breaks_most, (missing_least, missing_most), wanted, log = SCENARIOS[name]
    reports = [json.loads(line) for line in parts["jsonl"].splitlines() if '"target":"all"' in line and line.endswith("}")]
    say(status == "0", f"{name}: the sensor ends with {status}")
    for word in wanted:
        say(word in words, f"{name}: {word}")
    say(re.search(re.escape(log), parts["log"]), f"{name}: the log has '{log}'")
    sockets = set()
    for package in ("0", "1"):
        lives, life = [], []
        for line in parts["journal"].splitlines():
            if line == "life":
                lives.append(life)
                life = []
            elif line.split()[:2] == [path, package]:
                life.append(int(line.split()[2]) * 1e-9)
        energies = []
        for report in reports[1:]:
            cpus = report["groups"].get("rapl", {}).get(package, {})
            energies.append(next((c["RAPL_ENERGY_PKG"] * 2.0 ** -32 for c in cpus.values() if "RAPL_ENERGY_PKG" in c), None))
        if name.startswith("late") and package == "1":
            while energies and energies[0] is None:
                energies.pop(0)
        there = [j for j in energies if j is not None]
        missing = len(energies) - len(there)
        matched, strange, breaks = chain(there, lives)
        sockets.add(package if there else None)
        least_here = 2 if name.startswith("late") and package == "1" else least
        print(f"# {name}: socket {package}: {matched} ticks as the counter, {strange} not, {breaks} breaks, {missing} without energy, "
              f"{sum(there):.3f} J of {sum(len(life) for life in lives)} readings")
        say(matched >= least_here and strange == 0 and breaks <= breaks_most,
            f"{name}: socket {package} has what its counter showed")
        say(missing_least <= missing <= missing_most or (package == "1" and name.startswith("late")),
            f"{name}: socket {package}: {missing} ticks without energy")


def main():
    lines = open(sys.argv[1], errors="replace").read().split("\n")
    wanted = set(SCENARIOS) - (set() if len(sys.argv) > 2 else {"retyped"})
    at = {}
    for i, line in enumerate(lines):
        found = re.match(r"SCENARIO (\S+) (\d+) *(.*)", line)
        if found:
            at[found[1]] = (found[2], found[3].split(), i)
    for name in sorted(wanted):
        if name not in at:
            say(False, f"{name}: was run")
            continue
        status, words, i = at[name]
        begin, end = lines.index("BEGIN " + name, i), lines.index("END " + name, i)
        text = gzip.decompress(base64.b64decode("".join(lines[begin + 1:end]))).decode(errors="replace")
        parts = dict(part.split("\n", 1) for part in text.split("PART ")[1:])
        judge(name, status, words, parts)


main()
