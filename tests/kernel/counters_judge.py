# SPDX-License-Identifier: Apache-2.0
# Judges the output of the guest of tests/kernel/counters. usage: counters_judge.py CONSOLE WATTRIBUTE-SERVER DIR
# One line for each verdict: "ok NAME" or "not ok NAME"; figures as "# ...". DIR gets the reports.
import base64, gzip, json, os, re, sys

import known_law

console, server, folder = sys.argv[1:4]
text = open(console, errors="replace").read()


def verdict(good, what):
    print(("ok " if good else "not ok ") + what)


class Run:
    def __init__(self, name):
        head = re.search(r"^RUN %s (\d+)(.*)$" % name, text, re.M)
        self.name, self.status = name, int(head.group(1)) if head else None
        self.own = dict(zip("ab", map(int, head.group(2).split()))) if head else {}
        after = text[head.end() :] if head else ""
        after = after[: m.start()] if (m := re.search(r"^RUN ", after, re.M)) else after
        self.log = "\n".join(re.findall(r"^LOG (.*)$", after, re.M))
        body = re.search(r"^BEGIN %s\n(.*?)^END" % name, after, re.M | re.S)
        self.path = os.path.join(folder, name + ".jsonl")
        data = gzip.decompress(base64.b64decode(body.group(1))) if body else b""
        open(self.path, "wb").write(data)
        self.reports = [json.loads(line) for line in data.splitlines()]

    def cells(self):
        for report in self.reports:
            for group, sockets in report["groups"].items():
                for cpus in sockets.values():
                    for cell in cpus.values():
                        yield report, group, cell

    def total(self, target, event, group=None):
        return sum(
            cell.get(event, 0)
            for report, of, cell in self.cells()
            if report["target"] == target and group in (None, of)
        )


def near(run, event, limit, group=None, own=None):
    """own: the same loads' counts in another run, where their own event shared no counter."""
    own = own or run.own
    worst = max(abs(run.total("/" + name, event, group) / true - 1) if true else 9 for name, true in own.items()) if own else 9
    what = "%s: %s%s is what the loads counted (off by %.3f %%, limit %.1f %%)" % (
        run.name, event, " in " + group if group else "", 100 * worst, 100 * limit)
    verdict(worst <= limit, what)


for by in "perf", "bpf":
    run = Run("plain-" + by)
    verdict(run.reports and run.reports[-1]["metadata"]["activity_source"] == by, "plain: counted by " + by)
    near(run, "armv8_pmuv3/inst_retired/", 0.005)
    near(run, "armv8_pmuv3/cpu_cycles/", 0.01)
    if run.own:
        share = run.total("/a", "armv8_pmuv3/inst_retired/") / run.total("/b", "armv8_pmuv3/inst_retired/")
        true = run.own["a"] / run.own["b"]
        verdict(abs(share / true - 1) <= 0.005, "plain-%s: the share is right (%.5f, true %.5f)" % (by, share, true))
    run = Run("names-" + by)
    for event in "INST_RETIRED", "r08", "armv8_pmuv3/event=0x08/", "arm_ac57::INST_RETIRED":
        # With perf the machine's and the cgroup's group, four events each, share six counters and are scaled.
        near(run, event, 0.005 if by == "bpf" else 0.02, own=Run("plain-" + by).own)
    run = Run("user-" + by)
    near(run, "PERF_COUNT_HW_INSTRUCTIONS:u", 0.005)
    near(run, "INST_RETIRED:u", 0.005)
    # The parts add up to the whole, and each exists.
    run = Run("modes-" + by)
    for name in "/a", "/b":
        user, kernel, both = (run.total(name, "PERF_COUNT_HW_INSTRUCTIONS" + mode) for mode in (":u", ":k", ""))
        verdict(both and user and kernel and abs((user + kernel) / both - 1) < 0.002,
                "modes-%s: %s: user %d and kernel %d make up %d" % (by, name, user, kernel, both))
    # Nine groups of one event on six counters: each counts part of the time.
    run = Run("nine-" + by)
    shared = any(cell.get("time_running", 0) < cell.get("time_enabled", 0) for _, _, cell in run.cells())
    verdict(shared, "nine-%s: the events had to share counters, as the reports show" % by)
    for group, event in enumerate(("armv8_pmuv3/inst_retired/", "INST_RETIRED", "r08", "armv8_pmuv3/event=0x08/",
                                   "PERF_COUNT_HW_INSTRUCTIONS", "arm_ac57::INST_RETIRED"), 1):
        near(run, event, 0.02, "g%d" % group, Run("truth").own)
    run = Run("lacks-" + by)
    near(run, "armv8_pmuv3/inst_retired/", 0.005)
    verdict("PERF_COUNT_HW_CACHE_LL" in run.log and "l3d_cache" in run.log, "lacks-%s: each missing event is named" % by)
run = Run("strict")
verdict(run.status not in (0, None) and "REF_CPU_CYCLES" in run.log, "--strict: a missing event ends the sensor and is named")


for name, formula, after, static_only in known_law.CASES:
    run = Run(name)
    print(known_law.judge(name, run.path, server, folder, formula, after, static_only))
