#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Errors of every formula on every simulated scenario: tables, JSON lines and plots into build/accuracy.
# usage: tests/sim/accuracy.sh [-s "SCENARIO…"] [-l "LAW…"] [-n "SEED…"] [-f "FORMULA…"] [-p] [-j JOBS]
#   formulas: reference (PyPI smartwatts; if it cannot be installed, our strict mode), strict (our mode that
#   gives the same answers), smartwatts, share, pooled, four (pooled without the count of vector instructions, on the four
#   events that all the others use), floor (true costs on the noisy readings).
#   -p: no plots. Seeds from 100 on are never used for tuning.
# Answers of the reference are cached by the hash of their stream, so a second run computes only our own formulas.
set -eu
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build} OUT=${OUT:-${BUILD:-build}/accuracy}
scenarios= laws="1 2" seeds="100 101 102 103 104" formulas="reference share four pooled floor" plots=1 jobs=${JOBS:-$(nproc)}
while getopts s:l:n:f:pj: option; do
	case $option in
	s) scenarios=$OPTARG ;;
	l) laws=$OPTARG ;;
	n) seeds=$OPTARG ;;
	f) formulas=$OPTARG ;;
	p) plots= ;;
	j) jobs=$OPTARG ;;
	*) exit 2 ;;
	esac
done
if [ -z "$scenarios" ]; then
	for file in tests/sim/scenarios/*.json; do
		file=${file##*/}
		scenarios="$scenarios ${file%.json}"
	done
fi
mkdir -p "$OUT/reference" "$OUT/parts"
rm -f "$OUT"/parts/*
if ! make -s "$BUILD/tests/sim/simgen" "$BUILD/tests/sim/replay" "$BUILD/wattribute-score" >"$OUT/make.log" 2>&1; then
	cat "$OUT/make.log"
	exit 1
fi

export VENV=${SMARTWATTS_VENV:-$BUILD/smartwatts-venv} REFERENCE=pypi
case " $formulas " in
*" reference "*)
	if [ ! -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -c 'import smartwatts' 2>/dev/null; then
		python3 -m venv "$VENV" && "$VENV/bin/pip" install -q smartwatts==2.4.1 powerapi==2.10.0 >"$OUT/pip.log" 2>&1 || REFERENCE=strict
	fi
	[ $REFERENCE = pypi ] || echo "PyPI smartwatts cannot be installed here (see $OUT/pip.log): the strict mode stands in for it"
	;;
esac

# one SCENARIO LAW SEED FORMULAS: a line of JSON for each formula
one() {
	local scenario=$1 law=$2 seed=$3 work hash formula answer label interval
	shift 3
	# The published algorithm uses its configured interval as the length of a tick and ignores that in the reports.
	interval=$(sed -n 's/.*"interval_ms": *\([0-9]*\).*/\1/p' "tests/sim/scenarios/$scenario.json")
	interval=${interval:-1000}
	work=$(mktemp -d "$OUT/work.XXXXXX")
	"$BUILD/tests/sim/simgen" "tests/sim/scenarios/$scenario.json" "$seed" "$work/in.bson" "$work/truth.bson" --law "$law" \
		--floor "$work/floor.bson" --vector "$work/vector.bson" 2>"$work/log" || { cat "$work/log"; return 1; }
	for formula; do
		answer=$work/$formula.bson
		label="$scenario $law $seed $formula"
		if [ "$formula" = reference ] && [ "$REFERENCE" = pypi ]; then
			hash=$(cat "$work/in.bson" "$work/truth.bson" tests/sim/score/*.c tests/peer/smartwatts_replay.py | sha256sum | cut -c1-32)
			if [ ! -s "$OUT/reference/$hash.json" ]; then
				"$VENV/bin/python" tests/peer/smartwatts_replay.py --fast --interval "$interval" "$work/in.bson" "$answer" >"$work/log" 2>&1 || return 1
				score "$label" "$work" "$answer" >"$OUT/reference/$hash.json.new"
				mv "$OUT/reference/$hash.json.new" "$OUT/reference/$hash.json"
			fi
			cat "$OUT/reference/$hash.json"
			continue
		fi
		case $formula in
		reference | strict) "$BUILD/tests/sim/replay" --strict --interval "$interval" smartwatts "$work/in.bson" "$answer" >"$work/log" 2>&1 ;;
		floor) ;;
		pooled) "$BUILD/tests/sim/replay" pooled "$work/vector.bson" "$answer" >"$work/log" 2>&1 ;;
		four) "$BUILD/tests/sim/replay" pooled "$work/in.bson" "$answer" >"$work/log" 2>&1 ;;
		*) "$BUILD/tests/sim/replay" "$formula" "$work/in.bson" "$answer" >"$work/log" 2>&1 ;;
		esac
		score "$label" "$work" "$answer"
	done
	rm -r "$work"
}
score() {
	# No answer at all is also a result.
	[ -s "$3" ] || { echo "{\"label\":\"$1\",\"ticks\":0}"; return; }
	"$BUILD/wattribute-score" --json --label "$1" --stream "$2/in.bson" "$2/truth.bson" "$3"
}
export -f one score

for seed in $seeds; do
	for law in $laws; do
		for scenario in $scenarios; do echo "$scenario $law $seed $formulas"; done
	done
done | ${NICE-nice} xargs -P "$jobs" -L 1 bash -c 'one "$@" >"$OUT/parts/$1.$2.$3"' one
rm -rf "$OUT"/work.*
# Each stream has its own file until the end: long lines of two writers would be mixed in one.
cat "$OUT"/parts/* >"$OUT/scores.jsonl"
python3 tests/sim/accuracy_table.py "$OUT/scores.jsonl" "$REFERENCE" >"$OUT/table.md"
cat "$OUT/table.md"
if [ -n "$plots" ]; then
	tests/sim/accuracy_plots.sh "$OUT" "$(echo "$seeds" | cut -d' ' -f1)" || echo "no plots"
fi
echo "written: $OUT/table.md, $OUT/scores.jsonl"
