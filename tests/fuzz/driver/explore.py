#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Searches for new inputs with libFuzzer, one target after the other, and keeps the record of executions.

usage: explore.py [--build DIR] [--seconds N] [--turns N] [--until N] [--found DIR] [--merge] [--docs] [TARGET...]

Called by `make explore` and `make soak`; knows nothing about the targets' input. Each turn runs the targets, or those
named (report, store, ...), once, N seconds each; targets with --until executions on record are skipped. An eighth of the time goes to
the build in DIR, which traces the code's comparisons of the input, with long inputs; the rest to DIR/fast, which does not, with
short ones: several times as many. New inputs are kept. tests/fuzz/driver/record.tsv, or $WATTRIBUTE_FUZZ_RECORD, is updated after
each, also by several instances at once; a failing input is copied into the corpus, where `make check` fails until it is fixed.
--merge reduces the corpus and the found inputs to those that reach all their code. --docs puts the record into docs/guarantees.md.
"""
import argparse
import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.environ.get("WATTRIBUTE_FUZZ_RECORD", HERE + "/record.tsv")
FUZZ = os.path.dirname(HERE)
PAGE = os.path.dirname(os.path.dirname(FUZZ)) + "/docs/guarantees.md"
FIELDS = ("target", "executions", "findings", "first_day", "last_day", "first_commit", "last_commit")
# No stack for each allocation, a quarantine that fits into the cache and holds the memory freed by an execution, fewer bytes filled:
# several times faster, and findings can be run again without these options.
ASAN = "malloc_context_size=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64:max_malloc_fill_size=256:detect_leaks=1"
INTERRUPTED = 72  # libFuzzer's exit status after SIGINT or SIGTERM, with statistics
SIZE_MAX = 4096
# Most of the time goes to short inputs that are still expressive.
SIZE_FAST = 512
SIZES_FAST = {"answers": 1024, "cgroup_path": 256, "db": 256, "formula_state": 2560, "http": 1024, "priv": 256, "report": 1024,
              "rows": 128, "state": 96, "sysfs": 256, "web_config": 256}
SLOW_SHARE = 8
ending = False


def read_record():
    if not os.path.exists(RECORD):
        return {}
    with open(RECORD) as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][1:]
    return {row[0]: dict(zip(FIELDS, row)) for row in rows}


@contextlib.contextmanager
def alone():
    """This script is the lock: a record may be anywhere, without another file beside it."""
    with open(os.path.abspath(__file__)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def add_to_record(target, executions, findings):
    with alone():
        return change_record(target, executions, findings)


def change_record(target, executions, findings):
    record = read_record()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    commit = subprocess.run(["git", "-C", HERE, "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    row = record.setdefault(target, {"target": target, "executions": 0, "findings": 0, "first_day": day, "first_commit": commit})
    row.update(executions=int(row["executions"]) + executions, findings=int(row["findings"]) + findings, last_day=day, last_commit=commit)
    with open(RECORD + ".new", "w") as out:
        out.write("\t".join(FIELDS) + "\n")
        for name in sorted(record):
            out.write("\t".join(str(record[name][field]) for field in FIELDS) + "\n")
    os.replace(RECORD + ".new", RECORD)
    return row["executions"]


def targets():
    return sorted(name[5:-2] for name in os.listdir(FUZZ) if re.fullmatch(r"fuzz_.*\.c", name))


def environment():
    return dict(os.environ, ASAN_OPTIONS=ASAN, UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")


def explore(arguments, target):
    """One target for some seconds. Returns whether something was found."""
    slow = max(1, arguments.seconds // SLOW_SHARE)
    turns = [(arguments.build, slow, SIZE_MAX), (arguments.build + "/fast", arguments.seconds - slow, SIZES_FAST.get(target, SIZE_FAST))]
    failed = False
    for build, seconds, size in turns:
        done = int(read_record().get(target, {"executions": 0})["executions"])
        if seconds > 0 and not failed and not ending and (not arguments.until or done < arguments.until):
            failed = run(arguments, target, build, [f"-max_total_time={seconds}", f"-max_len={size}"] +
                         ([f"-runs={arguments.until - done}"] if arguments.until else []))
    return failed


def end(fuzzer):
    """SIGTERM: only the executions so far are recorded."""
    global ending
    ending = True
    fuzzer.send_signal(signal.SIGINT)


def run(arguments, target, build, options):
    program, corpus, found = f"{build}/tests/fuzz/fuzz_{target}", f"{FUZZ}/corpus/{target}", f"{arguments.found}/{target}"
    os.makedirs(found, exist_ok=True)
    prefix = f"{arguments.found}/{target}-"
    with subprocess.Popen([program, *options, "-print_final_stats=1", "-print_funcs=0", "-entropic=0", f"-artifact_prefix={prefix}", found, corpus],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment()) as ended:
        signal.signal(signal.SIGTERM, lambda number, frame: end(ended))
        text = ended.stderr.read().decode(errors="replace")
    # A run with a finding ends without final statistics: then the last line of progress has them.
    counts = re.findall(r"^stat::number_of_executed_units: *(\d+)", text, re.M) or re.findall(r"^#(\d+)", text, re.M)
    executions = int(counts[-1]) if counts else 0
    artifacts = [line.rsplit(" ", 1)[-1] for line in text.splitlines() if "Test unit written to" in line]
    for artifact in artifacts:
        shutil.copy(artifact, corpus)
    failed = ended.returncode not in (0, INTERRUPTED)
    total = add_to_record(target, executions, int(failed))
    print(f"{'not ok' if failed else 'ok'} {target}: {executions} executions, {total} on record", flush=True)
    if failed:
        print("\n".join("#   " + line for line in text.splitlines()[-60:]), flush=True)
    return failed


def merge(arguments, target):
    """Files with proper names stay; of the others, those that reach code that these do not."""
    corpus = f"{FUZZ}/corpus/{target}"
    before = os.listdir(corpus)
    os.makedirs(f"{arguments.found}/{target}", exist_ok=True)
    with tempfile.TemporaryDirectory() as old:
        for name in before:
            if re.fullmatch("[0-9a-f]{40}", name):
                shutil.move(f"{corpus}/{name}", old)
        # By covered code, not by counts: some dozens of inputs for each target, not thousands.
        merged = subprocess.run([f"{arguments.build}/fast/tests/fuzz/fuzz_{target}", "-set_cover_merge=1", "-use_counters=0",
                                 f"-max_len={SIZE_MAX}", corpus, old, f"{arguments.found}/{target}"],
                                capture_output=True, env=environment(), check=False)
        if merged.returncode:
            shutil.copytree(old, corpus, dirs_exist_ok=True)
    print(f"{'not ok' if merged.returncode else 'ok'} {target}: {len(before)} inputs in the corpus before, {len(os.listdir(corpus))} now", flush=True)
    return merged.returncode != 0


def row_of_docs(row):
    days = " to ".join(dict.fromkeys([row["first_day"], row["last_day"]]))
    commits = " to ".join(dict.fromkeys([row["first_commit"], row["last_commit"]]))
    return f"| `fuzz_{row['target']}` | {int(row['executions']):,} | {row['findings']} | {days} | {commits} |\n"


def write_docs():
    with open(PAGE) as page:
        lines = page.readlines()
    rows = [i for i, line in enumerate(lines) if line.startswith("| `fuzz_")]
    lines[rows[0]:rows[-1] + 1] = [row_of_docs(row) for row in read_record().values()]
    with open(PAGE, "w") as page:
        page.writelines(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build-fuzz")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--until", type=int, default=0)
    parser.add_argument("--found", default="build-fuzz/found")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    if arguments.docs:
        write_docs()
        return 0
    failed = 0
    for _ in range(arguments.turns):
        for target in arguments.targets or targets():
            done = int(read_record().get(target, {"executions": 0})["executions"])
            if arguments.merge:
                failed += merge(arguments, target)
            elif not ending and (not arguments.until or done < arguments.until):
                failed += explore(arguments, target)
    return 1 if failed else 0


sys.exit(main())
