#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A root with the libraries of another architecture, to compile and link against: prints its folder, and makes it the
# first time and when the list of libraries has changed. usage: scripts/cross-root.sh ARCH       (a Debian name: arm64)
# It uses this machine's own Debian suite and is in ${WATTRIBUTE_CACHE:-~/.cache/wattribute}.
set -eu
cd "$(dirname "$0")/.."
arch=${1:?usage: scripts/cross-root.sh ARCH}
suite=${SUITE:-$(. /etc/os-release && echo "${VERSION_CODENAME:-}")}
[ -n "$suite" ] || { echo "cross-root.sh: this is not a Debian suite; set SUITE to one" >&2; exit 1; }
scripts/install-deps.sh cross >&2
version=$(cat scripts/cross-root.sh scripts/install-deps.sh | cksum | cut -d ' ' -f 1)
root=${WATTRIBUTE_CACHE:-$HOME/.cache/wattribute}/cross/$suite-$arch-$version
if [ ! -d "$root" ]; then
	mkdir -p "${root%/*}"
	exec 9>"${root%/*}/lock"
	flock 9
fi
if [ ! -d "$root" ]; then
	echo "fetching the libraries for $arch" >&2
	libraries=$(scripts/install-deps.sh --list library)
	rm -rf "${root%/*}/$suite-$arch"-*
	scripts/debian-root.sh "$suite" "$arch" "$root.made" --variant=extract --include="libc6-dev,linux-libc-dev,$(echo $libraries | tr ' ' ,)" >&2
	mv "$root.made" "$root"
fi
echo "$root"
