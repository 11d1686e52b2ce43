#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Where everything is installed, nothing asks a package manager: `make check` runs without a network. Every program that
# could be asked is a stand-in that writes down its call.
. "$(dirname "$0")/lint.inc"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for program in apt-get apt dnf yum zypper pacman apk pip pip3 npm sudo; do
	printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\nexit 1\n' "$program" "$work" >"$work/$program"
done
installed() { # STATE of every package
	: >"$work/calls"
	printf '#!/bin/sh\nprintf %%s "%s"\n' "$1" >"$work/dpkg-query"
	chmod +x "$work"/*
	PATH=$work:$PATH scripts/install-deps.sh build test peer docker >/dev/null 2>&1
	cat "$work/calls"
}
verdict "nothing is asked for where every package is installed" "$(installed installed)"
verdict "and it is where none is" "$([ -n "$(installed not-installed)" ] || echo "no call of a package manager")"
