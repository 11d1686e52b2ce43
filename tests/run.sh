#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the rings of tests and counts their TAP lines. usage: tests/run.sh [RING [PATTERN...]]...
#   RING is one of: lint unit fuzz compilers cross sanitize sim kernel system wire peer kernels; without arguments all of them except the last, after
#   installing missing packages. With patterns only the tests of that ring whose name contains one of them:
#   tests/run.sh unit share; tests/run.sh system 030.
# Every test program and script prints TAP ("ok 1 - what", "not ok 2 - what", "ok 3 - what # SKIP why").
# One that prints no TAP or exits non-zero without a "not ok" counts as a failure. Failures are listed again at the end.
# A full run gives up to $TEST_SECOND_RUNS (6) failed scripts a second run, and lists those that passed only then.
# Last line: N passed, N failed, N skipped.
set -u
cd "$(dirname "$0")/.."
export TOP=$PWD BUILD=${BUILD:-$PWD/build}
export CMOCKA_MESSAGE_OUTPUT=TAP
logs=$BUILD/test-logs
jobs=$(nproc)
passed=0 failed=0 skipped=0 times= failures=
patterns= matched=
second_runs=0 second=() only_second=

# wanted NAME: is this test of the ring requested?
wanted() {
	local pattern
	[ -n "$patterns" ] || return 0
	for pattern in $patterns; do
		case ${1#*/} in *"$pattern"*) return 0 ;; esac
	done
	return 1
}

# failures_of LOG: its failed tests, with a reason from below the line (cmocka's)
failures_of() {
	awk '/^not ok / { if (tolower($0) ~ /# *skip/) next; if (line != "") print line; line = $0; below = 0; next }
		line != "" && line !~ /\)$/ && /^#/ && below < 2 { sub(/^# */, ""); line = line " | " $0; below++; next }
		line != "" { print line; line = "" }
		END { if (line != "") print line }' "$1" | cut -c 1-300 | head -n 12
}

# run_once NAME LOG COMMAND...: runs a test and counts its TAP lines into p, f and s; prints its line, and its log if it failed
run_once() {
	local name=$1 log=$2 status start=$SECONDS
	shift 2
	timeout --kill-after=120 "${TEST_TIMEOUT:-900}" "$@" >"$log" 2>&1 </dev/null
	status=$?
	s=$(grep -c -i -E '^(not )?ok .*# *SKIP' "$log") # cmocka says "not ok 1 # SKIP name"
	p=$(grep -E '^ok ' "$log" | grep -c -v -i -E '# *SKIP')
	f=$(grep -E '^not ok ' "$log" | grep -c -v -i -E '# *SKIP')
	if [ "$f" = 0 ] && { [ $status != 0 ] || [ $((p + s)) = 0 ]; }; then
		f=1
		echo "not ok - $name: exit status $status, $((p + s)) results" >>"$log"
	fi
	times+="$((SECONDS - start)) s $name"$'\n'
	printf '%-44s %4d passed %3d failed %3d skipped %4d s\n' "$name" "$p" "$f" "$s" $((SECONDS - start))
	grep -i -E '^(not )?ok .*# *SKIP' "$log" | sed 's/^/    /'
	if [ "$f" != 0 ]; then
		grep -E '^not ok ' "$log" | grep -v -i -E '# *SKIP' | sed 's/^/    /'
		tail -n "${TEST_TAIL:-25}" "$log" | sed 's/^/    | /'
	fi
}

# add_results LOG NAME P F S: adds to the sums, with the reasons of failures
add_results() {
	passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
	if [ "$4" != 0 ]; then failures+=$(failures_of "$1" | sed "s,^,  $2: ,")$'\n'; fi
}

# one NAME COMMAND...: a test, once; a script that fails in a full run is queued for a second run
one() {
	local name=$1 log p f s
	shift
	wanted "$name" || return 0
	matched=1
	mkdir -p "$logs"
	log=$logs/$(echo "$name" | tr '/ ' '__').log
	run_once "$name" "$log" "$@"
	case $name in
	kernel/* | system/* | wire/* | peer/*)
		if [ "$f" != 0 ] && [ "$second_runs" -gt 0 ]; then
			second+=("$name|$log|$p|$f|$s|$*")
			return
		fi
		;;
	esac
	add_results "$log" "$name" "$p" "$f" "$s"
}

# At the end of a full run, without other load: failed scripts run again. A script counts as passed if it passes now,
# and is listed: a test that needs two runs is a bug of the test. More failures than second runs are no accident.
run_failed_again() {
	local row name log p f s first command
	[ ${#second[@]} -le "$second_runs" ] && [ ${#second[@]} -gt 0 ] && echo "second run of failed scripts:"
	for row in "${second[@]}"; do
		IFS='|' read -r name log p f s command <<<"$row"
		if [ ${#second[@]} -le "$second_runs" ]; then
			first=$(failures_of "$log" | sed "s,^,  $name: ,")
			mv "$log" "${log%.log}.first.log"
			run_once "$name" "$log" $command
			if [ "$f" = 0 ]; then only_second+=$first$'\n'; fi
		fi
		add_results "$log" "$name" "$p" "$f" "$s"
	done
}

build() {
	if ! make -s -j"$jobs" "$@" >"$BUILD/make.log" 2>&1; then
		tail -40 "$BUILD/make.log"
		echo "not built: make $*"
		failures+="  not built: make $*"$'\n'
		failed=$((failed + 1))
		return 1
	fi
}

ring_lint() { local t; for t in tests/lint/*.sh; do [ -e "$t" ] && one "lint/$(basename "$t" .sh)" "$t"; done; }
# Names of the unit tests, relative to tests/unit: server/formula/test_conserve.
unit_tests() { (cd tests/unit && find . -name 'test_*.c' | sed 's,^\./,,; s,\.c$,,' | sort); }
ring_unit() { local t; build unit && for t in $(unit_tests); do one "unit/$t" "$BUILD/tests/unit/$t"; done; }
ring_fuzz() { local t; build fuzz && for t in tests/fuzz/fuzz_*.c; do [ -e "$t" ] || continue; t=$(basename "$t" .c); one "fuzz/$t" "$BUILD/tests/fuzz/$t" "tests/fuzz/corpus/${t#fuzz_}"; done; }
ring_sanitize() {
	local t keep=$BUILD
	BUILD=$keep/asan
	mkdir -p "$BUILD"
	export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	build unit fuzz BUILD="$BUILD" SANITIZE=address,undefined CFLAGS="-O1 -g" && {
		for t in $(unit_tests); do one "sanitize/$t" "$BUILD/tests/unit/$t"; done
		for t in tests/fuzz/fuzz_*.c; do [ -e "$t" ] || continue; t=$(basename "$t" .c); one "sanitize/$t" "$BUILD/tests/fuzz/$t" "tests/fuzz/corpus/${t#fuzz_}"; done
	}
	BUILD=$keep
}
ring_cross() { one cross/arm64 tests/cross.sh; }
ring_compilers() {
	local cc
	for cc in gcc clang; do
		mkdir -p "$BUILD/werror-$cc"
		one "compilers/$cc" sh -c "make -s -j$jobs all unit BUILD=$BUILD/werror-$cc CC=$cc WERROR=-Werror && echo 'ok 1 - $cc -Werror'"
	done
}
# In the order of their numbers, across the ring's folders.
scripts_of() {
	local t
	build all && for t in $(find "tests/$1" -type f -name '[0-9]*-*' -perm -u+x -printf '%f %p\n' | sort | cut -d ' ' -f 2); do
		one "${t#tests/}" "$t"
	done
}
ring_sim() { scripts_of sim; }
ring_system() { scripts_of system; }
ring_wire() { scripts_of wire; }
ring_peer() { scripts_of peer; }
# The kernel of Debian 12 in its short form; `make check-kernels` tests all of them, or those in $KERNELS, in full.
ring_kernel() { build kernel-programs && one kernel/6.1-amd64 tests/kernel/check.sh 6.1-amd64 short; }
# More guests in parallel than CPUs ($KERNEL_LANES): each of them sleeps part of its time. Those of arm64, which take longest, start first.
ring_kernels() {
	local name row ahead=$logs/kernels rows= modules=
	build kernel-programs || return
	for name in ${KERNELS:-$(tests/kernel/ring.sh names | cut -d ' ' -f 1 | sort -t - -k 2,2r -s)}; do
		if wanted "kernels/$name"; then rows+="$name|tests/kernel/check.sh $name"$'\n'; fi
		case $name in 6.1-amd64 | 7.2-amd64) ! wanted "kernels/power-$name" || modules+="power-$name|tests/kernel/power/check.sh $name"$'\n' ;; esac
	done
	rows+=$modules
	rm -rf "$ahead"
	mkdir -p "$ahead"
	printf %s "$rows" | xargs -d '\n' -P "${KERNEL_LANES:-$(($(nproc) + 1))}" -I '{}' tests/kernel/ahead.sh "$ahead" '{}' &
	for row in $rows; do
		case $row in *'|'*) TEST_TIMEOUT=6000 one "kernels/${row%%|*}" tests/kernel/ahead.sh "$ahead" "${row%%|*}" ;; esac
	done
	wait
}

mkdir -p "$BUILD"
if [ $# = 0 ]; then
	scripts/install-deps.sh build test peer || exit 1
	if [ "$(id -u)" = 0 ]; then scripts/install-deps.sh docker || exit 1; fi
	second_runs=${TEST_SECOND_RUNS:-6}
	set -- lint unit fuzz compilers cross sanitize sim kernel system wire peer
fi
is_ring() { case $1 in lint | unit | fuzz | sanitize | compilers | cross | sim | kernel | kernels | system | wire | peer) ;; *) return 1 ;; esac; }
while [ $# -gt 0 ]; do
	ring=$1 patterns= matched=
	shift
	is_ring "$ring" || { echo "tests/run.sh: unknown ring '$ring'" >&2; exit 2; }
	while [ $# -gt 0 ] && ! is_ring "$1"; do
		patterns="$patterns $1"
		shift
	done
	"ring_$ring"
	[ -n "$matched" ] || [ -z "$patterns" ] || {
		echo "tests/run.sh: no test of ring '$ring' has$patterns in its name" >&2
		exit 2
	}
done
run_failed_again
if [ -n "$only_second" ]; then printf 'passed only in a second run:\n%s' "$only_second"; fi
# The failures again at the end, as some summaries show nothing else.
if [ -n "$failures" ]; then printf 'failed:\n%s' "$(printf %s "$failures" | head -n 40)"$'\n'; fi
echo "longest: $(printf %s "$times" | sort -rn | head -n 8 | paste -s -d , | sed 's/,/, /g'); all: $SECONDS s"
if [ $skipped != 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ $failed = 0 ]
