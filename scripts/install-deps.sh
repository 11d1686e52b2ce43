#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, from one table of packages. usage: scripts/install-deps.sh [--list|--try] SET...
#   build: compilers and libraries    test: programs that the tests run    peer: databases and peers for the tests
#   docker: an engine for the system tests    tls: certificates
#   cross: a compiler for arm64    library: packages for its root    run PROGRAM...: the libraries that programs built elsewhere are linked with
# --list prints the packages, --try lets apt-get print what it would install. No name contains a version: Debian 12, 13 and
# unstable have the same ones, or the archive decides.
set -eu

# sets | Debian packages: the first one that the archive has; with ? none is fine | how to detect it elsewhere | description
table='
build | gcc | command cc gcc | a C compiler
build cross | make | command make | make
build cross | pkg-config | command pkg-config | pkg-config
build library | libmongoc-dev libmongoc2-dev | pkg mongoc2 libmongoc-1.0 | the MongoDB C driver libmongoc, 1.x or 2.x
build library | libbson-dev libbson2-dev | pkg bson2 libbson-1.0 | its library libbson
build library | libpfm4-dev | header perfmon/pfmlib.h | libpfm4
build library | libcgroup-dev | pkg libcgroup | libcgroup
build library | libev-dev | header ev.h | libev
build library | libsqlite3-dev | pkg sqlite3 | SQLite 3
build library | libmicrohttpd-dev | pkg libmicrohttpd | libmicrohttpd
build library | libgnutls28-dev | pkg gnutls | GnuTLS
build library | libyaml-dev | pkg yaml-0.1 | libyaml
build library | libcrypt-dev | header crypt.h | libcrypt (libxcrypt)
build library | libcap-ng-dev | header cap-ng.h | libcap-ng
build library | libseccomp-dev | pkg libseccomp | libseccomp
build library | uthash-dev | header uthash.h | uthash
build library | libjansson-dev | pkg jansson | Jansson
build library | libncurses-dev | header curses.h | ncurses
build library | libcurl4-openssl-dev libcurl4-gnutls-dev | pkg libcurl | libcurl
build library | libbpf-dev | header bpf/libbpf.h | libbpf
build library | libelf-dev | header libelf.h | libelf
build library | zlib1g-dev | header zlib.h | zlib
build cross | bpftool linux-tools-generic | command bpftool | bpftool
build test cross | clang | command clang | clang
test library | libcmocka-dev | pkg cmocka | cmocka
test | clang-format | command clang-format | clang-format
test | libclang-rt-dev | file /usr/lib/llvm*/lib/clang/*/lib/linux/libclang_rt.fuzzer*.a | libFuzzer and the sanitizers of clang
test | mandoc | command mandoc | mandoc
test | curl | command curl | curl
test | procps | command pgrep | procps
test | util-linux | command unshare | util-linux
test | stress-ng | command stress-ng | stress-ng
test | sqlite3 | command sqlite3 | the shell of SQLite 3
test | tmux | command tmux | tmux
test | strace | command strace | strace
test | valgrind | command valgrind | valgrind
test | zsh | command zsh | zsh
test | fish | command fish | fish
test | rpm | command rpmbuild | rpmbuild
peer | python3 | command python3 | Python 3
peer | python3-venv | command python3 | its module venv
peer | python3-pip | command pip3 | pip
peer | gnuplot-nox | command gnuplot | gnuplot
peer | default-jdk-headless | command javac | a Java development kit
peer | maven | command mvn | Maven
peer | openssl | command openssl | OpenSSL
peer | chromium | command chromium | Chromium
peer | chromium-driver | command chromedriver | its driver
docker | docker.io | command dockerd | a Docker engine
docker | docker-cli? | command docker | its command line
docker | iptables | command iptables | iptables
docker | busybox-static busybox | command busybox | busybox
docker cross | mmdebstrap | command mmdebstrap | mmdebstrap
docker | docker-compose? | command docker-compose | Docker Compose
docker | zstd | command zstd | zstd
cross | gcc-aarch64-linux-gnu | command aarch64-linux-gnu-gcc | a C compiler for arm64
tls | ca-certificates | file /etc/ssl/certs/ca-certificates.crt | certificates of the public authorities
'
sets='build library test peer docker tls cross run'

say() { echo "install-deps.sh: $*" >&2; }
how=install wanted= programs=
while [ $# -gt 0 ]; do
	case $1 in
	--list) how=list ;;
	--try) how=try ;;
	run)
		shift
		[ $# -gt 0 ] || { say "run: give the programs"; exit 2; }
		programs=$*
		break
		;;
	*)
		case " $sets " in
		*" $1 "*) wanted="$wanted $1" ;;
		*)
			say "unknown set '$1'; known: $sets"
			exit 2
			;;
		esac
		;;
	esac
	shift
done
have_dpkg=$(command -v dpkg-query || true)

as_root=
need_root() {
	[ "$(id -u)" != 0 ] || return 0
	command -v sudo >/dev/null || {
		say "Not root, and sudo is not installed. Run as root: apt-get install $*"
		exit 1
	}
	as_root=sudo
}
updated=
update() {
	[ -z "$updated" ] || return 0
	updated=1
	apt apt-get update -qq
}
# apt COMMAND...: its output is shown only when it fails
apt() {
	log=$(mktemp)
	$as_root env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 || {
		tail -20 "$log" >&2
		say "$1 failed; its last lines are above, the full output is in $log"
		exit 1
	}
	rm -f "$log"
}
apt_install() { apt apt-get install -y -qq --no-install-recommends "$@"; }
# ask_archive PACKAGE...: which of them exist, in one query, as each takes a second if apt's lists are compressed
ask_archive() { archive=$(apt-cache --quiet=2 show "$@" 2>/dev/null | awk '$1 == "Package:" { print $2 }' | xargs); }
in_archive() { case " $archive " in *" $1 "*) ;; *) return 1 ;; esac; }
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
system_name() { (. "${OS_RELEASE:-/etc/os-release}" 2>/dev/null && echo "${PRETTY_NAME:-$NAME}") || uname -sr; }

# there KIND NAME...: whether this machine has one of them, from any source
there() {
	kind=$1
	shift
	for name; do
		case $kind in
		command) PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null && return 0 ;;
		pkg) pkg-config --exists "$name" 2>/dev/null && return 0 ;;
		header) echo "#include <$name>" | ${CC:-cc} -x c -E - >/dev/null 2>&1 && return 0 ;;
		file) [ -e "$name" ] && return 0 ;;
		esac
	done
	return 1
}

# The rows of the wanted sets, split at the bars: "packages|how to detect it|description".
rows() {
	echo "$table" | while IFS='|' read -r of packages check what; do
		for set_name in $wanted; do
			case " $of " in
			*" $set_name "*)
				echo $packages'|'$check'|'$what # without surrounding spaces
				break
				;;
			esac
		done
	done
}

# resolve: for each missing row, "install PACKAGE" or "absent PACKAGE, description"
resolve() {
	# shellcheck disable=SC2046
	ask_archive $(rows | cut -d '|' -f 1 | tr -d '?')
	rows | while IFS='|' read -r packages check what; do
		found=
		optional=
		for package in $packages; do
			case $package in *\?) optional=1 ;; esac
			[ "$how" = list ] || ! installed "${package%\?}" || found=1
		done
		# shellcheck disable=SC2086 # file patterns must be expanded
		if [ -n "$found" ] || { [ -n "$optional" ] && [ "$how" != list ] && there $check; }; then continue; fi
		for package in $packages; do
			if in_archive "${package%\?}"; then
				echo "install ${package%\?}"
				continue 2
			fi
		done
		# shellcheck disable=SC2086
		if [ -z "$optional" ] && ! there $check; then echo "absent ${packages%% *}: $what"; fi
	done
}

# On other systems than Debian: the missing items, in terms that every package manager's search understands.
if [ -z "$have_dpkg" ] && [ -n "$wanted" ]; then
	if [ "$how" = list ]; then
		rows | awk -F'|' '{ split($1, name, " "); print name[1] }' | sort -u
		exit 0
	fi
	missing=$(rows | while IFS='|' read -r packages check what; do
		# shellcheck disable=SC2086
		case $packages in *\?*) continue ;; esac
		there $check || echo "  $(echo $what) (Debian: ${packages%% *}; found by: $(echo $check))"
	done)
	[ -n "$missing" ] || exit 0
	say "$(system_name) has no dpkg, so nothing can be installed automatically. Install these by hand:"
	echo "$missing" >&2
	exit 1
fi

# all_installed: the quick check that suffices in most cases, without the archive
all_installed() {
	rows | while IFS='|' read -r packages check what; do
		for package in $packages; do
			if installed "${package%\?}"; then continue 2; fi
			# shellcheck disable=SC2086
			case $package in *\?) if there $check; then continue 2; fi ;; esac
		done
		echo "$packages"
	done
}

if [ -n "$wanted" ]; then
	plan=
	[ "$how" != list ] && [ -z "$(all_installed)" ] || plan=$(resolve)
	if [ -n "$plan" ] && [ "$how" != list ]; then
		need_root "$(echo "$plan" | awk '{ print $2 }' | tr -d : | xargs)"
		update
		plan=$(resolve)
	fi
	list=$(echo "$plan" | awk '$1 == "install" && !seen[$2]++ { print $2 }' | xargs)
	absent=$(echo "$plan" | sed -n 's/^absent //p')
	if [ "$how" = list ]; then
		echo "$list"
		exit 0
	fi
	if [ -n "$absent" ]; then
		say "the package archive of $(system_name) lacks what wattribute needs:"
		echo "$absent" | sed 's/\(.*\): *\(.*\)/  \2 (package \1)/' >&2
		say "install it from its vendor or from source, so that the compiler and pkg-config find it, then try again"
		exit 1
	fi
	[ -n "$list" ] || [ -n "$programs" ] || exit 0
	if [ "$how" = try ]; then
		# shellcheck disable=SC2086
		[ -z "$list" ] || apt apt-get install -s --no-install-recommends $list
		echo "can be installed: $list"
		exit 0
	fi
	if [ -n "$list" ]; then
		say "installing${as_root:+ with sudo}: $list"
		# shellcheck disable=SC2086
		apt_install $list
	fi
fi

# Libraries of a program built elsewhere: those that the loader does not find, by Debian's rule for package names
# (library and version, "-" between digits; t64 since the 64-bit time), as far as the archive has them.
lacks() {
	for program in $programs; do
		[ -e "$program" ] || { say "$program: no such program"; return 1; }
		ldd "$program" 2>/dev/null | awk '/not found/ { print $1 }'
	done | sort -u
}
package_of() {
	stem=${1%%.so*}
	version=${1#*.so}
	stem=$(echo "$stem" | tr 'A-Z_' 'a-z-')
	version=${version#.}
	case $stem in *[0-9]) joined=$stem-$version ;; *) joined=$stem$version ;; esac
	case $stem in libz) joined=zlib1g ;; esac
	set -- "$joined" "${joined}t64" "$stem"
	ask_archive "$@"
	for package; do
		if in_archive "$package"; then
			echo "$package"
			return 0
		fi
	done
	return 1
}
[ -n "$programs" ] || exit 0
needed=$(lacks) || exit 1
[ -n "$needed" ] || exit 0
if [ -z "$have_dpkg" ]; then
	say "$(system_name) has no dpkg. Install these libraries by hand:" $needed
	exit 1
fi
need_root "the packages of:" $needed
update
list=
for library in $needed; do
	package=$(package_of "$library") || {
		say "the package archive of $(system_name) has no package for $library, which $programs needs: build the program on this distribution"
		exit 1
	}
	list="$list $package"
done
say "installing for $programs:$list"
# shellcheck disable=SC2086
apt_install $list
needed=$(lacks)
[ -z "$needed" ] || {
	say "still missing after that:" $needed
	exit 1
}
