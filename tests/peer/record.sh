#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Records again the published formula's answers to three simulated streams: tests/peer/data/NAME.bson.gz (the
# stream) and NAME.reference.bson.gz (its power reports). usage: tests/peer/record.sh   (needs pip and a registry)
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
venv=${SMARTWATTS_VENV:-$BUILD/smartwatts-venv}
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install -q smartwatts==2.4.1 powerapi==2.10.0
fi
make -s "$BUILD/tests/sim/simgen"
record() {
	local name=$1 seed=$2 law=$3 work
	work=$(mktemp -d)
	"$BUILD/tests/sim/simgen" "tests/peer/scenarios/$name.json" "$seed" "$work/$name.bson" "$work/truth.bson" --law "$law"
	"$venv/bin/python" tests/peer/smartwatts_replay.py "$work/$name.bson" "$work/$name.reference.bson"
	gzip -9 -n -f "$work/$name.bson" "$work/$name.reference.bson"
	mv "$work/$name.bson.gz" "$work/$name.reference.bson.gz" tests/peer/data/
	rm -r "$work"
}
mkdir -p tests/peer/data
record small-mixed 1 1
record small-churn 2 1
record small-phases 3 2
