#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, from one list of packages. usage: scripts/install-deps.sh SET...
#   build: compilers and libraries    test: what the tests run    peer: databases and peers for the tests
#   docker: an engine for the system tests    run-sensor, run-server: libraries of a program built elsewhere
#   --list: print the packages of the sets instead
set -eu

build="gcc make pkg-config libpfm4-dev libmongoc-dev libbson-dev libcgroup-dev libev-dev libsqlite3-dev
 libmicrohttpd-dev libcap-ng-dev libseccomp-dev liblapacke-dev uthash-dev libjansson-dev libncurses-dev libcurl4-openssl-dev libbpf-dev
 libelf-dev zlib1g-dev bpftool clang"
tests="libcmocka-dev clang clang-format libclang-rt-14-dev mandoc curl procps util-linux stress-ng sqlite3 tmux strace"
peer="python3 python3-venv python3-pip gnuplot-nox openjdk-17-jdk-headless maven openssl chromium chromium-driver"
run="libmongoc-1.0-0 libbson-1.0-0 libsqlite3-0 libjansson4 libmicrohttpd12 libseccomp2 libev4 libcap-ng0"
run_sensor="$run libcgroup2 libpfm4 libbpf1 libelf1 zlib1g"
run_server="$run libncurses6 libcurl4 ca-certificates"
docker="docker.io iptables busybox-static debootstrap zstd"

list=
only_print=
for set_name; do
	case $set_name in
	build) list="$list $build" ;;
	test) list="$list $tests" ;;
	peer) list="$list $peer" ;;
	docker) list="$list $docker" ;;
	run-sensor) list="$list $run_sensor" ;;
	run-server) list="$list $run_server" ;;
	--list) only_print=1 ;;
	*)
		echo "install-deps.sh: unknown set '$set_name'; known: build test peer docker run-sensor run-server" >&2
		exit 2
		;;
	esac
done
list=$(echo $list)

if [ -n "$only_print" ]; then
	echo "$list"
	exit 0
fi
if ! command -v dpkg-query >/dev/null; then
	echo "This is not a Debian-based system. Install the equivalents of these Debian packages, then try again:" >&2
	echo "  $list" >&2
	exit 1
fi
missing=
for package in $list; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "Not root, and sudo is not installed. Run as root: apt-get install$missing" >&2
		exit 1
	fi
	as_root=sudo
	echo "Installing with sudo:$missing" >&2
else
	echo "Installing:$missing" >&2
fi
log=$(mktemp)
if ! { $as_root apt-get update -qq &&
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -20 "$log" >&2
	echo "install-deps.sh: apt-get failed; its last lines are above, the full output is in $log" >&2
	exit 1
fi
rm -f "$log"
