#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares two files of power reports row by row. usage: power_compare.py A.bson[.gz] B.bson[.gz] TOLERANCE [--both | --but-last TICKS]

Fails if a row of one is missing in the other (with --both only common rows count; with --but-last the last TICKS of A
may be missing in B), or if watts differ by more than TOLERANCE (relative, against at least 1 W). `system` and `idle`
rows, which only we write, are ignored.
"""
import calendar
import gzip
import sys

import bson


def load(path):
    rows = {}
    with (gzip.open(path) if path.endswith(".gz") else open(path, "rb")) as file:
        for row in bson.decode_all(file.read()):
            time = row.get("timestamp_ms")
            if time is None:
                time = calendar.timegm(row["timestamp"].timetuple()) * 1000 + row["timestamp"].microsecond // 1000
            if row["target"] not in ("system", "idle"):
                rows[time, row["target"], row["metadata"]["scope"], row["metadata"]["socket"]] = row["power"]
    return rows


def main():
    a, b, tolerance = load(sys.argv[1]), load(sys.argv[2]), float(sys.argv[3])
    common = a.keys() & b.keys()
    differences = {key: abs(a[key] - b[key]) / max(1.0, abs(a[key])) for key in common}
    over = [key for key in common if not differences[key] <= tolerance]
    print(f"{len(a)} and {len(b)} rows, {len(common)} in both, worst difference {max(differences.values(), default=0):.2e}, "
          f"{len(over)} over {tolerance}")
    for key in sorted(over)[:5]:
        print("  ", key, a[key], b[key])
    missing = [] if sys.argv[4:] == ["--both"] else sorted(a.keys() ^ b.keys())
    if sys.argv[4:5] == ["--but-last"]:
        last = set(sorted({key[0] for key in a})[-int(sys.argv[5]):])
        missing = [key for key in missing if key in b or key[0] not in last]
    if missing:
        print("   only in one:", missing[:5])
    sys.exit(1 if over or missing or not common else 0)


if __name__ == "__main__":
    main()
