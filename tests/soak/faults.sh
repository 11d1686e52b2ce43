#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All kinds of fault of faults.py, and the servers' takeovers in their long form. usage: tests/soak/faults.sh [ROUNDS]
# Writes the table of docs/guarantees.md to build/faults.md.
set -u
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/venv.sh"
. "$TOP/tests/lib/mongo-wire.sh"
need_root
need_venv pymongo pymongo==4.10.1
need_mongo_wire mjs
need_mongo_wire ferretdb
ok 'faults of all kinds' "$PYTHON" "$TOP/tests/soak/faults.py" --build "$BUILD" --rounds "${1:-20}" --jobs "$(nproc)" --markdown "$BUILD/faults.md"
sed 's/^/# /' "$TAP_DIR/ok.out"
for stores in sqlite mjs; do
	ok "two servers on $stores: 50 kills and pauses" env WATTRIBUTE_ROUNDS=50 WATTRIBUTE_STORES=$stores "$TOP/tests/system/fault/375-fault-standby"
done
done_testing
