#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs each unit test that draws random input again and again with new seeds: what fails for one seed in hundreds is found here, not by
# somebody's CI. usage: tests/seeds.sh [SECONDS [PATTERN...]]: SECONDS (30) for each test whose name contains one of the PATTERNs.
# A failed seed is printed with the command that repeats it. Last line: N passed, N failed, of tests (not of runs).
set -u
cd "$(dirname "$0")/.."
export BUILD=${BUILD:-$PWD/build}
export CMOCKA_MESSAGE_OUTPUT=TAP
seconds=${1:-30}
shift $(($# > 0))
case $seconds in '' | *[!0-9]*)
	echo "seeds.sh: '$seconds' is no number of seconds" >&2
	exit 2
	;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0

# wanted NAME PATTERN...
wanted() {
	local name=$1 pattern
	shift
	[ $# != 0 ] || return 0
	for pattern; do case $name in *"$pattern"*) return 0 ;; esac done
	return 1
}

# try NAME: runs the test until its time is over; 1 if a seed failed
try() {
	local runs=0 bad=0 seed end=$((SECONDS + seconds))
	while [ $runs = 0 ] || [ $SECONDS -lt $end ]; do
		seed=$((RANDOM << 30 ^ RANDOM << 15 ^ RANDOM))
		runs=$((runs + 1))
		WATTRIBUTE_SEED=$seed timeout 300 "$BUILD/tests/$1" >"$log" 2>&1 </dev/null && continue
		bad=$((bad + 1))
		echo "    WATTRIBUTE_SEED=$seed build/tests/$1: $(grep -m 1 -i -A 1 '^not ok\|error' "$log" | paste -s -d ' ')"
	done
	printf '%-52s %6d runs %4d failed\n' "$1" $runs $bad
	[ $bad = 0 ]
}

make -s -j"$(nproc)" unit || exit 1
for file in $(grep -l 'random_begin' -r tests/unit --include='test_*.c' | sort); do
	name=${file#tests/}
	name=${name%.c}
	wanted "$name" "$@" || continue
	if try "$name"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
