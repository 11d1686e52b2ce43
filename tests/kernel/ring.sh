#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian kernels booted in QEMU without KVM, with a small root and a job of the tests. Knows nothing about the tests.
#   ring.sh names                                 the kernels: NAME SUITE, one a line
#   ring.sh mirror                                the Debian mirror that is used
#   ring.sh install                               QEMU 10 and cpio; status 3 and the reason if they cannot be installed here
#   ring.sh fetch NAME                            the kernel, from the cache or the archive: prints its path
#   ring.sh modules NAME                          disk, file system and similar modules of a kernel with unpacked modules: prints their folder
#   ring.sh root DIR PROGRAM...                   a root of this machine's programs and their libraries
#   ring.sh packages ARCH DIR PACKAGE...          a root (and, with -dev packages, a sysroot) of Debian packages for ARCH
#   ring.sh boot NAME DIR [OVERLAY]               runs OVERLAY's /job under the kernel and prints the console; the status is the job's
#                                                 (125: it never ended). RING_CPUS, RING_MEMORY (MiB), RING_APPEND (kernel's words),
#                                                 RING_QEMU (QEMU's arguments), RING_SECONDS (limit), RING_EXACT may be set
# The cache is ${XDG_CACHE_HOME:-~/.cache}/wattribute-kernels, or $WATTRIBUTE_KERNELS. RING_MIRROR replaces apt's own mirror.
set -euo pipefail

cache=${WATTRIBUTE_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/wattribute-kernels}
scratch= # temporary files of this run
trap '[ -z "$scratch" ] || rm -rf "$scratch" "$scratch.console" "$scratch.pid"' EXIT
keys=/usr/share/keyrings/debian-archive-keyring.gpg

# A kernel is named by its version and architecture; the suite is the Debian release that has it.
names() {
	cat <<-'EOF2'
		5.10-amd64 bullseye
		6.1-amd64 bookworm
		6.1-arm64 bookworm
		6.12-amd64 trixie
		6.12-arm64 trixie
		7.2-amd64 sid
	EOF2
}

die() {
	echo "ring.sh: $2" >&2
	exit "$1"
}

# The Debian mirror that this machine's apt uses.
mirror() {
	local found=${RING_MIRROR:-}
	[ -n "$found" ] || found=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 !~ /-/ { print $3; exit }')
	[ -n "$found" ] || found=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null)
	[ -n "$found" ] || found=$(awk '$1 == "deb" && /debian/ { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }' /etc/apt/sources.list 2>/dev/null)
	[ -n "$found" ] || die 3 "apt has no Debian mirror configured; name one by RING_MIRROR"
	echo "${found%/}"
}

# A private apt configuration below $1 for the given suites; sets $apt_options.
apt_below() {
	local dir=$1 suite
	shift
	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	for suite; do echo "deb $([ -e $keys ] && echo "[signed-by=$keys]") $(mirror) $suite main"; done >"$dir/sources.list"
	apt_options=(-o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir" -o Dir::Etc::sourcelist="$dir/sources.list"
		-o Dir::Etc::sourceparts=/dev/null -o Acquire::Languages=none -o APT::Sandbox::User=root)
}

qemu_major() { "$1" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p'; }
qemu_is_new() {
	local program major
	for program in qemu-system-x86_64 qemu-system-aarch64; do
		major=$(qemu_major $program)
		[ "${major:-0}" -ge 10 ] || return 1
	done
}

# QEMU 7.2 of Debian 12 sometimes computes wrong results (a byte stored to a page that was just copied); 10 does not.
install_qemu() {
	local work release packages="qemu-system-x86 qemu-system-arm seabios ipxe-qemu cpio"
	if qemu_is_new && command -v cpio >/dev/null; then return 0; fi
	command -v apt-get >/dev/null || die 3 "QEMU 10 is not here, and there is no apt-get to install it"
	[ "$(id -u)" = 0 ] || die 3 "QEMU 10 is not here, and only root can install it"
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	work=$(mktemp -d)
	scratch=$work
	chmod 755 "$work"
	apt_below "$work" "$release" "$release-backports"
	apt-get "${apt_options[@]}" update -qq >"$work/log" 2>&1 || die 3 "QEMU 10 cannot be fetched: $(tail -n 1 "$work/log")"
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get "${apt_options[@]}" install -y -qq --no-install-recommends -t "$release-backports" $packages \
		>"$work/log" 2>&1 || die 3 "QEMU 10 cannot be installed: $(tail -n 1 "$work/log")"
	qemu_is_new || die 3 "the archive has $(qemu-system-x86_64 --version | head -n 1); 10 is needed"
}

suite_of() { names | awk -v name="$1" '$1 == name { print $2 }'; }

fetch() {
	local name=$1 suite arch work package candidate image=
	suite=$(suite_of "$name") arch=${1##*-}
	[ -n "$suite" ] || die 2 "there is no kernel '$name'; there are: $(names | awk '{ print $1 }' | paste -s -d ' ')"
	if [ -s "$cache/$name" ]; then
		echo "$cache/$name"
		return
	fi
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/fetch.XXXXXX")
	scratch=$work
	apt_below "$work" "$suite"
	apt_options+=(-o APT::Architectures="$arch" -o APT::Architecture="$arch")
	apt-get "${apt_options[@]}" update -qq >"$work/log" 2>&1 || die 3 "the list of $suite cannot be fetched: $(tail -n 1 "$work/log")"
	package=$(apt-cache "${apt_options[@]}" depends "linux-image-$arch" | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
	# In newer suites the kernel is in linux-binary, not linux-image. An unsigned one will do.
	for candidate in "${package/image/binary}" "$package" "$package-unsigned"; do
		(cd "$work" && apt-get "${apt_options[@]}" download "$candidate" >>log 2>&1) || continue
		dpkg-deb -x "$work/$candidate"_*.deb "$work/root"
		image=$(find "$work/root" -name 'vmlinuz*' -type f | head -n 1)
		[ -z "$image" ] || break
	done
	[ -n "$image" ] || die 3 "$suite has no kernel for $arch: $(tail -n 1 "$work/log")"
	echo "${package#linux-image-}" >"$cache/$name.version"
	mv "$image" "$cache/$name"
	echo "$cache/$name"
}

# From the kernel's package, kept beside it.
modules() {
	local name=$1 arch=${1##*-} version work
	fetch "$name" >/dev/null
	version=$(cat "$cache/$name.version")
	if [ ! -d "$cache/$name.modules" ]; then
		[ -z "$scratch" ] || rm -rf "$scratch"
		work=$(mktemp -d "$cache/fetch.XXXXXX")
		scratch=$work
		apt_below "$work" "$(suite_of "$name")"
		apt_options+=(-o APT::Architectures="$arch" -o APT::Architecture="$arch")
		apt-get "${apt_options[@]}" update -qq >"$work/log" 2>&1 || die 3 "the list of packages cannot be fetched: $(tail -n 1 "$work/log")"
		(cd "$work" && apt-get "${apt_options[@]}" download "linux-image-$version" >>log 2>&1) ||
			die 3 "the archive has no linux-image-$version any more: remove $cache/$name, and a newer kernel is fetched"
		mkdir "$work/root"
		dpkg-deb --fsys-tarfile "$work"/linux-image-*.deb | tar -x -C "$work/root" --wildcards './lib/modules/*/kernel/fs/*' \
			'./lib/modules/*/kernel/drivers/virtio/*' './lib/modules/*/kernel/drivers/block/*' './lib/modules/*/kernel/crypto/*' './lib/modules/*/kernel/lib/*'
		mv "$work/root" "$cache/$name.modules"
	fi
	echo "$cache/$name.modules"
}

# In every guest: users, mount points, and an init that mounts, runs /job and powers off.
base_of_root() {
	local dir=$1 folder
	for folder in etc proc sys dev tmp run root bin; do mkdir -p "$dir/$folder"; done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n' >"$dir/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$dir/etc/group"
	cat >"$dir/init" <<-'EOF2'
		#!/bin/busybox sh
		export PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/root
		busybox mount -t proc none /proc
		busybox mount -t sysfs none /sys
		busybox mount -t devtmpfs none /dev
		busybox mount -t tmpfs none /tmp
		busybox mount -t tmpfs none /run
		busybox ip link set lo up
		echo "ring: the job begins"
		sh /job
		echo "ring: the job ended with status $?"
		busybox poweroff -f
	EOF2
	chmod +x "$dir/init"
}

# From this machine: no package is fetched, and programs built here run.
native_root() {
	local dir=$1 program path library applet
	shift
	base_of_root "$dir"
	path=$(command -v busybox) || die 3 "busybox (package busybox-static) is not here"
	cp -L "$path" "$dir/bin/busybox"
	for applet in $("$path" --list); do [ "$applet" = busybox ] || ln -sf busybox "$dir/bin/$applet"; done
	for program; do
		path=$(command -v "$program") || die 3 "the program '$program' is not here"
		rm -f "$dir/bin/${program##*/}"
		cp -L "$path" "$dir/bin/${program##*/}"
		ldd "$path" 2>/dev/null | awk '/=> \// { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do
			[ -e "$dir$library" ] || install -D "$library" "$dir$library"
		done
	done
}

package_root() {
	local arch=$1 dir=$2 release packages
	shift 2
	command -v mmdebstrap >/dev/null || die 3 "mmdebstrap is not here (package mmdebstrap)"
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	packages=$(printf ',%s' libc6 busybox-static bash "$@")
	mmdebstrap --quiet --variant=extract --arch="$arch" --include="${packages#,}" "${RING_SUITE:-$release}" "$dir" "$(mirror)"
	base_of_root "$dir"
	for applet in sh ls cat cp mv rm mkdir rmdir ln mount umount sleep awk sed grep head tail seq kill chmod id uname dmesg ps sort tr cut wc ip timeout mknod; do
		[ -e "$dir/bin/$applet" ] || ln -sf busybox "$dir/bin/$applet"
	done
}

# The archive of a root is kept beside it; it omits files for compilers and readers.
pack() {
	(cd "$1" && find . \( -path ./usr/include -o -path ./usr/share/doc -o -path ./usr/share/man -o -path ./usr/share/locale \) -prune \
		-o ! -name '*.a' -print | cpio --quiet -o -H newc)
}

# An emulated machine that hangs at its start says nothing about the tests: it gets RING_START_SECONDS.
give_up_early() {
	local left=${RING_START_SECONDS:-240}
	until grep -q '^ring: the job begins' "$1.console"; do
		if [ $((left -= 1)) -le 0 ]; then
			kill "$(cat "$1.pid")" 2>/dev/null || true
			return
		fi
		sleep 1
	done
}

boot() {
	local name=$1 dir=$2 overlay=${3:-} arch=${1##*-} kernel image cpus=${RING_CPUS:-2} append qemu khz try watcher
	kernel=$(fetch "$name")
	append="quiet loglevel=1 panic=-1 ${RING_APPEND:-}"
	image=$(mktemp "${TMPDIR:-/tmp}/ring.XXXXXX")
	scratch=$image
	[ "$dir.cpio" -nt "$dir/init" ] || { pack "$dir" >"$image" && cp "$image" "$dir.cpio.$$" && mv "$dir.cpio.$$" "$dir.cpio"; }
	cat "$dir.cpio" >"$image"
	[ -z "$overlay" ] || pack "$overlay" >>"$image" # later archives replace earlier files
	case $arch in
	# The emulated CPUs share this machine's time-stamp counter. Linux compares them, is misled if one waits for the host,
	# and switches to a slow clock, each read of which costs more than the code under measurement. The frequency measured at
	# boot is then equally wrong. no_timer_check: at boot Linux counts timer interrupts for some ten milliseconds, and panics
	# if the host gives the guest no time in them.
	amd64)
		khz=$("${BUILD:-${0%/*}/../../build}/tests/kernel/tsc_khz" 2>/dev/null) || khz=
		qemu=(qemu-system-x86_64 -accel tcg -cpu max -append "console=ttyS0 tsc=reliable ${khz:+tsc_early_khz=$khz} no_timer_check $append")
		;;
	# RING_EXACT: one CPU, which counts its instructions exactly, and is slow.
	arm64)
		qemu=(qemu-system-aarch64 -M virt -cpu max -append "console=ttyAMA0 $append")
		[ -z "${RING_EXACT:-}" ] || qemu+=(-icount shift=0)
		;;
	esac
	for try in 1 2; do
		: >"$image.console"
		give_up_early "$image" &
		watcher=$!
		# shellcheck disable=SC2086
		timeout "${RING_SECONDS:-300}" "${qemu[@]}" -smp "$cpus" -m "${RING_MEMORY:-1024}" -kernel "$kernel" -initrd "$image" \
			-display none -serial stdio -monitor none -no-reboot -pidfile "$image.pid" ${RING_QEMU:-} </dev/null 2>&1 |
			stdbuf -oL tr -d '\r' | tee "$image.console" || true
		kill $watcher 2>/dev/null || true
		if [ $try = 2 ] || grep -q '^ring: the job begins' "$image.console"; then break; fi
		echo "ring: the guest did not come up; trying again"
	done
	exit "$(awk '/^ring: the job ended with status/ { status = $7 } END { print status == "" ? 125 : status }' "$image.console")"
}

command=${1:-}
[ $# = 0 ] || shift
case $command in
names) names ;;
mirror) mirror ;;
install) install_qemu ;;
fetch) fetch "$@" ;;
modules) modules "$@" ;;
root) native_root "$@" ;;
packages) package_root "$@" ;;
boot) boot "$@" ;;
*)
	sed -n '3,14s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
