#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Both commands of the README on other Debian suites. In a root of each, made once from this machine's mirror and kept in
# the cache: the packages are installed by scripts/install-deps.sh, the tree is built, `make check-fast` and `make run` are
# run, and apt reports whether the packages of the other rings can be installed. usage: tests/distributions.sh [SUITE...]
#   as root; suites: bookworm (12) trixie (13) sid (unstable). Prints TAP.
set -u
. "$(dirname "$0")/lib/tap.sh"
need_root
need_program mmdebstrap unshare
CACHE=${WATTRIBUTE_CACHE:-$HOME/.cache/wattribute}/distributions
arch=$(dpkg --print-architecture)
[ $# != 0 ] || set -- bookworm trixie sid

# inside ROOT COMMAND: in its own namespaces, so that no mount or process is left
inside() {
	local root=$1
	shift
	unshare --mount --pid --fork --kill-child sh -c '
		root=$1; shift
		for place in dev sys; do mount --rbind /$place "$root/$place" || exit 1; done
		mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/run" && mount -t tmpfs tmpfs "$root/tmp" || exit 1
		mount -t tmpfs tmpfs "$root/dev/shm" || exit 1
		exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 chroot "$root" sh -c "cd /tree && $*"' \
		sh "$root" "$@"
}

for suite; do
	root=$CACHE/$suite-$arch start=$SECONDS
	exec 9>"$TAP_DIR/lock"
	mkdir -p "$CACHE"
	exec 9>"$CACHE/$suite.lock"
	flock 9
	if [ ! -d "$root" ]; then
		ok "$suite: a root file system is created" "$TOP/scripts/debian-root.sh" "$suite" "$arch" "$root" --variant=minbase || continue
	fi
	cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null
	rm -rf "$root/tree"
	mkdir "$root/tree"
	# The files of this tree, committed or not, without build outputs.
	(cd "$TOP" && git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar -c -T -) | tar -x -C "$root/tree"
	name="$suite ($(. "$root/etc/os-release" && echo "$PRETTY_NAME"))"
	ok "$name: the packages are installed" inside "$root" scripts/install-deps.sh build test || continue
	for set_name in peer docker cross; do
		ok "$name: the packages of '$set_name' can be installed" inside "$root" scripts/install-deps.sh --try $set_name
	done
	ok "$name: it builds without a warning" inside "$root" "make -s -j$(nproc) all unit WERROR=-Werror" || continue
	if inside "$root" 'make -s check-fast' >"$TAP_DIR/$suite.out" 2>&1; then
		tap_pass "$name: make check-fast: $(tail -n 1 "$TAP_DIR/$suite.out")"
	else
		grep -A 45 '^ *not ok' "$TAP_DIR/$suite.out" | head -n 100 | sed 's/^/# /'
		tap_fail "$name: make check-fast: $(grep -E '^[0-9]+ passed' "$TAP_DIR/$suite.out")"
	fi
	inside "$root" 'tests/run.sh system make-run 045-install' >"$TAP_DIR/$suite.run" 2>&1
	ok "$name: make run and make install: $(tail -n 1 "$TAP_DIR/$suite.run")" grep -E '^[0-9]+ passed, 0 failed$' "$TAP_DIR/$suite.run"
	note "$name: $(inside "$root" 'gcc -dumpversion; clang -dumpversion; dpkg-query -W -f "\${Version}" libmongoc-dev' | paste -s -d ' ' | sed 's/\(\S*\) \(\S*\) /gcc \1, clang \2, libmongoc /'), $((SECONDS - start)) s"
	rm -rf "$root/tree"
done
done_testing
