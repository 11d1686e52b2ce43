#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All kinds of fault of faults.py, power cuts, and long forms of the fault ring's scripts. usage: tests/soak/faults.sh [ROUNDS]
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
ok 'the sensor is killed 200 times' "$PYTHON" "$TOP/tests/soak/kills.py" --build "$BUILD" --only sensor --kills 200 --sum "$BUILD/kills.sum"
ok 'the server is killed 500 times on each store' "$PYTHON" "$TOP/tests/soak/kills.py" --build "$BUILD" --only server --kills 500 --sum "$BUILD/kills.sum"
for stores in sqlite mjs; do
	ok "two servers on $stores: 50 kills and pauses" env WATTRIBUTE_ROUNDS=50 WATTRIBUTE_STORES=$stores "$TOP/tests/system/fault/375-fault-standby"
done
ok 'write and store are killed 200 times' env WATTRIBUTE_ROUNDS=200 "$TOP/tests/system/fault/530-fault-write-killed"
for durable in '' --durable; do
	# shellcheck disable=SC2086
	ok "power cuts of a guest ${durable:-as usual}" "$PYTHON" "$TOP/tests/soak/power_cut.py" --build "$BUILD" --boots 10 --cuts 20 $durable
	sed 's/^/# /' "$TAP_DIR/ok.out"
done
done_testing
