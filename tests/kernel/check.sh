#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tests one kernel of the ring: boots it with the programs built here, runs the parts of guest.sh and passes their TAP on, each line
# labelled with its boot. usage: check.sh NAME [short | CPUS PART...]        (names: ring.sh names; short: one boot of the
# essentials; PART: see guest.sh)
# Needs `make all kernel-programs`. RING_KEEP=FOLDER keeps the consoles. Skipped with the reason if QEMU 10 or the kernel is not available.
set -u
. "$(dirname "$0")/../lib/tap.sh"
name=${1:?usage: check.sh NAME [short | CPUS PART...]}
here=$TOP/tests/kernel
arch=${name##*-} native=$(dpkg --print-architecture 2>/dev/null)
built=$BUILD
# Other instances of this script may run in parallel: shared files are built by one at a time.
mkdir -p "$BUILD/kernel"
exec 8>"$BUILD/kernel/lock"
flock 8
reason=$("$here/ring.sh" install 2>&1) || skip_all "$reason"
reason=$("$here/ring.sh" fetch "$name" 2>&1 >/dev/null) || skip_all "$reason"
if [ "$arch" != "$native" ]; then
	built=$BUILD/$arch
	reason=$("$TOP/scripts/cross-root.sh" "$arch" 2>&1 >/dev/null) || skip_all "no libraries for $arch here: $(echo "$reason" | tail -n 1)"
	ok "make ARCH=$arch kernel-programs" make -s -C "$TOP" -j"$(nproc)" ARCH="$arch" BUILD="$built" kernel-programs || done_testing
	case $arch in arm64) machine='-cpu cortex-a57' ;; esac # the newest available model is slow to emulate
fi
state=$built/kernel
mkdir -p "$state"
# The scheduler's account leaves out a part of each switch, which takes long on an emulated arm64: there the loads run for longer.
seconds=4
[ "$arch" != arm64 ] || seconds=6

unit_programs=$(cd "$built/tests/unit/sensor/source" 2>/dev/null && ls test_source_bpf test_source_perf test_source_cpustat test_bpf_accuracy test_bpf_moves 2>/dev/null |
	sed "s,^,$built/tests/unit/sensor/source/,")
programs="$built/wattribute $built/wattribute-sensor $built/wattribute-server $built/tests/kernel/lives $built/tests/kernel/verify $built/tests/bench/pingpong"
root=$state/root-$arch
[ "$arch" = "$native" ] || root=$TAP_DIR/root # has folders NAME.d, which make would read below the build folder
make_root() {
	rm -rf "$root" "$root.cpio"
	# shellcheck disable=SC2086
	if [ "$arch" = "$native" ]; then
		"$here/ring.sh" root "$root" bash awk sort setpriv nice $programs $unit_programs
	else
		# The C library comes from the packages.
		"$here/ring.sh" packages "$arch" "$root.new" coreutils util-linux mawk grep sed &&
			ln -sf /usr/bin/mawk "$root.new/bin/awk" &&
			mkdir "$root.new/ours" &&
			"$here/cross-overlay.sh" "$arch" "$root.new/ours" $programs $unit_programs &&
			rm -f "$root.new"/ours/usr/lib/libc.so.6 "$root.new"/ours/usr/lib/ld-linux* &&
			cp -r "$root.new/ours/bin/." "$root.new/usr/bin/" &&
			cp -r "$root.new/ours/usr/lib/." "$root.new/usr/lib/" &&
			rm -rf "$root.new/ours" && mv "$root.new" "$root"
	fi
}
# shellcheck disable=SC2086
if [ ! -e "$root/init" ] || [ -n "$(find $programs $unit_programs "$here/ring.sh" -newer "$root/init" 2>/dev/null)" ]; then
	ok "a root file system with the programs is built" make_root || done_testing
fi
exec 8>&-

# On 5.10 a CPU that wakes a task for an idle CPU sharing its cache starts the task's time itself: the idle CPU's wake-up time
# is then in the scheduler's account, a tenth of all on an emulated machine. For parts that compare with that account, each CPU
# gets its own socket, so that no caches are shared. Not if loads must spread to a CPU that comes online. sockets_of CPUS PARTS...
sockets_of() {
	case "$name $* " in *' newcomer '*) ;; 5.10-*' fresh '* | 5.10-*' others '* | 5.10-*' counts '*) echo "-smp $1,sockets=$1,cores=1,threads=1" ;; esac
}

# boot LABEL CPUS KERNEL-WORDS PARTS...
boot() {
	local label=$1 cpus=$2 append=$3 overlay=$TAP_DIR/overlay status line begin=$SECONDS
	shift 3
	rm -rf "$overlay"
	mkdir -p "$overlay/tests/lib" "$overlay/tests/fake" "$overlay/objects"
	cp "$here/guest.sh" "$overlay/guest"
	cp "$here/energy.sh" "$here/account.sh" "$overlay/"
	cp "$TOP/tests/lib/tap.sh" "$overlay/tests/lib/"
	cp "$TOP/tests/fake/sysfs.sh" "$overlay/tests/fake/"
	cp "$state"/objects/*.o "$overlay/objects/" 2>/dev/null
	echo "$*" >"$overlay/parts"
	printf 'LIVES_SECONDS=%s TOP=/ BUILD=/ exec bash /guest\n' "${LIVES_SECONDS:-$seconds}" >"$overlay/job"
	RING_CPUS=$cpus RING_QEMU="${machine:-} $(sockets_of "$cpus" "$@")" RING_APPEND=$append RING_SECONDS=${RING_SECONDS:-900} "$here/ring.sh" boot "$name" "$root" "$overlay" >"$TAP_DIR/console"
	status=$?
	[ -z "${RING_KEEP:-}" ] || cp "$TAP_DIR/console" "$RING_KEEP/$name-${label// /-}"
	while IFS= read -r line; do
		case $line in
		'ok '[0-9]*)
			tap_count=$((tap_count + 1))
			echo "ok $tap_count - $name, $label: ${line#* - }"
			;;
		'not ok '[0-9]*)
			tap_count=$((tap_count + 1)) tap_failed=$((tap_failed + 1))
			echo "not ok $tap_count - $name, $label: ${line#* - }"
			;;
		'# '*) echo "$line" ;;
		esac
	done < <(sed 's/^VERIFY //' "$TAP_DIR/console")
	ok "$name, $label: the guest ran to its end (status $status)" grep -q '^ring: the job ended' "$TAP_DIR/console" ||
		tail -n 20 "$TAP_DIR/console" | sed 's/^/# /'
	is "$(grep -c -E '^(not )?ok [0-9]' "$TAP_DIR/console")" "$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$TAP_DIR/console")" \
		"$name, $label: every result of the guest arrived"
	echo "# $name, $label: $((SECONDS - begin)) s"
}

if [ "${2:-}" = short ]; then
	LIVES_SECONDS=2 boot '2 CPUs' 2 '' verify counts rights
elif [ $# -gt 2 ]; then
	shift
	boot "$1 CPUs" "$1" "${RING_APPEND:-}" "${@:2}"
else
	case $name in
	5.10-*)
		boot '2 CPUs apart' 2 '' fresh others
		boot '2 CPUs' 2 '' units energy rights denied hotplug locked
		;;
	*) boot '2 CPUs' 2 '' fresh others units energy rights denied hotplug locked ;;
	esac
	boot '1 CPU of 2' 2 maxcpus=1 verify counts newcomer $([ "$arch" != amd64 ] || echo suspend) v1 counts hybrid counts
	boot '8 CPUs' 8 '' counts
fi
done_testing
