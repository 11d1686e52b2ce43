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
# 20: 200 kills of the sensor, 500 of the server on each store, 100 takeovers.
rounds=${1:-20}
[ -e "$BUILD/tests/soak/fail_alloc.so" ] || make -s -C "$TOP" BUILD="$BUILD" "$BUILD/tests/soak/fail_alloc.so" || bail 'fail_alloc.so cannot be built'
ok 'faults of all kinds' "$PYTHON" "$TOP/tests/soak/faults.py" --build "$BUILD" --rounds "$rounds" --jobs "$(nproc)" --markdown "$BUILD/faults.md"
sed 's/^/# /' "$TAP_DIR/ok.out"
# In long runs, long faults: each process is stopped for a minute, a database is away for ten.
if [ "$rounds" -ge 20 ]; then
	ok 'each process is stopped for a minute' env WATTRIBUTE_PAUSE=60 "$PYTHON" "$TOP/tests/soak/faults.py" --build "$BUILD" --rounds 1 --only stopped --jobs 8
	sed 's/^/# /' "$TAP_DIR/ok.out"
	ok 'a database is away for ten minutes' env WATTRIBUTE_AWAY=600 "$PYTHON" "$TOP/tests/soak/faults.py" --build "$BUILD" --rounds 1 --only refuses
	sed 's/^/# /' "$TAP_DIR/ok.out"
	make -s -C "$TOP" BUILD="$BUILD" "$BUILD/tests/unit/sensor/test_priv_hostile"
	ok 'the privileged process gets 10 million messages' env WATTRIBUTE_MESSAGES=10000000 "$BUILD/tests/unit/sensor/test_priv_hostile"
	ok 'a cgroup vanishes between any two calls' env WATTRIBUTE_STEP=1 "$TOP/tests/system/fault/355-fault-vanish"
fi
ok "the sensor is killed $((rounds * 10)) times" "$PYTHON" "$TOP/tests/soak/kills.py" --build "$BUILD" --only sensor --kills $((rounds * 10)) --sum "$BUILD/kills.sum"
ok "the server is killed $((rounds * 25)) times on each store" "$PYTHON" "$TOP/tests/soak/kills.py" --build "$BUILD" --only server --kills $((rounds * 25)) --sum "$BUILD/kills.sum"
for stores in sqlite mjs; do
	ok "two servers on $stores: $((rounds * 5)) kills and pauses" env WATTRIBUTE_ROUNDS=$((rounds * 5)) WATTRIBUTE_STORES=$stores "$TOP/tests/system/fault/375-fault-standby"
done
ok "write and store are killed $((rounds * 10)) times" env WATTRIBUTE_ROUNDS=$((rounds * 10)) "$TOP/tests/system/fault/530-fault-write-killed"
for durable in '' --durable; do
	# shellcheck disable=SC2086
	ok "power cuts of a guest ${durable:-as usual}" "$PYTHON" "$TOP/tests/soak/power_cut.py" --build "$BUILD" --boots $(((rounds + 1) / 2)) --cuts 20 $durable
	sed 's/^/# /' "$TAP_DIR/ok.out"
done
done_testing
