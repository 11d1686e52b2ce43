#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# If everything is installed, no package manager is called: `make check` runs without a network. Every such program
# is a fake that records its calls.
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
verdict "no package manager is called if every package is installed" "$(installed installed)"
verdict "and one is called if none is" "$([ -n "$(installed not-installed)" ] || echo "no call of a package manager")"
