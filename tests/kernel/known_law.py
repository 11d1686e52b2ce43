# SPDX-License-Identifier: Apache-2.0
# Formulas on energy of an exactly known law: reports of an arm64 guest whose energy PMU counted instructions (all
# dynamic: a container's joules are 5e-8 times its instructions) or cycles, constant there (all static).
# usage: known_law.py FOLDER WATTRIBUTE-SERVER SCRATCH-FOLDER       FOLDER holds NAME.jsonl.gz, as tests/data does
import gzip, json, os, subprocess, sys

SCALE = 5e-8  # joules per instruction
# Run, formula, ticks that it may take to learn, all static or not. The result of pooled for two runs is shown but not
# judged: two steady loads do not show their costs; and by default cycles are counted, which continue while this CPU waits.
CASES = (
    ("varied", "smartwatts", 40, False),
    ("steady", "smartwatts", 40, False),
    ("constant", "smartwatts", 120, True),
    ("constant", "pooled", 60, True),
    ("varied", "pooled", 60, False),
    ("steady", "pooled", 60, False),
    ("default", "pooled", 60, False),
)


def reports_of(path):
    with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as file:
        return [json.loads(line) for line in file]


def powers_of(path, server, scratch, formula):
    out = os.path.join(scratch, "power.jsonl")
    if os.path.exists(out):
        os.unlink(out)
    subprocess.run([server, "--once", "-i", "jsonl:" + path, "-o", "jsonl:" + out, "-F", formula, "--static", "none",
                    "--listen", "off", "--state-dir", scratch, "--sandbox", "off", "--cpu-base-freq", "1000"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    power = {}
    for report in reports_of(out):
        power.setdefault(report["timestamp"], {})[report["target"]] = report["power"] * report["metadata"]["interval"]
    return power


def truth_of(path):
    true = {}
    for report in reports_of(path):
        row = true.setdefault(report["timestamp"], {})
        for group in report["groups"].values():
            for socket in group.values():
                for cell in socket.values():
                    for event in "INST_RETIRED", "PERF_COUNT_HW_INSTRUCTIONS":
                        if event in cell:
                            row[report["target"]] = cell[event] * SCALE
                    if "RAPL_ENERGY_PKG" in cell:
                        row["machine"] = cell["RAPL_ENERGY_PKG"] / 2**32
    return true


def judge(name, path, server, scratch, formula, after, static_only):
    """ "ok NAME", "not ok NAME", or "# NAME" if it is not judged."""
    power, true = powers_of(path, server, scratch, formula), truth_of(path)
    ticks = sorted(power)[after:]
    sums = {t: sum(power[k].get(t, 0) for k in ticks) for t in ("/a", "/b", "idle")}
    truth = {t: sum(true.get(k, {}).get(t, 0) for k in ticks) for t in ("/a", "/b", "machine")}
    if not truth["machine"]:
        return "not ok %s, %s: there is energy" % (name, formula)
    what = "%s by %s, %d ticks after the first %d: idle %.1f %%" % (
        name, formula, len(ticks), after, 100 * sums["idle"] / truth["machine"])
    if static_only:
        good = sums["idle"] >= 0.97 * truth["machine"]
    else:
        errors = [sums[t] / truth[t] - 1 for t in ("/a", "/b")]
        good = max(map(abs, errors)) <= 0.03 and sums["idle"] <= 0.03 * truth["machine"]
        what += ", containers off by " + ", ".join("%+.2f %%" % (100 * e) for e in errors)
    if (name, formula) in (("steady", "pooled"), ("default", "pooled")):
        return "# " + what + ("" if good else ": BEYOND THE BAR of 3 %")
    return ("ok " if good else "not ok ") + what


if __name__ == "__main__":
    for case_name, *case in CASES:
        print(judge(case_name, os.path.join(sys.argv[1], "arm64-%s.jsonl.gz" % case_name), sys.argv[2], sys.argv[3], *case))
