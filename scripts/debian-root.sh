#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Creates the root folder of a Debian suite from this machine's own package mirror, with its apt proxy and checks.
# usage: scripts/debian-root.sh SUITE ARCH DIR [MMDEBSTRAP-OPTION...]     DIR appears only when it is complete
#   scripts/debian-root.sh --mirror                                       prints the mirror (nothing: the default one)
set -eu

# Only Debian's own repositories: a machine may have others.
mirror() {
	{
		apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sed -n 's/^Debian //p'
		awk '$1 == "URIs:" { print $2 }' /etc/apt/sources.list.d/*.sources 2>/dev/null
		awk '/^deb / { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) print $i }' /etc/apt/sources.list 2>/dev/null
	} | sed 's,/*$,,' | grep -m 1 '/debian$' || true
}
if [ "${1:-}" = --mirror ]; then
	mirror
	exit 0
fi
[ $# -ge 3 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
suite=$1 arch=$2 dir=$3
shift 3
command -v mmdebstrap >/dev/null || { echo "debian-root.sh: mmdebstrap is not installed" >&2; exit 1; }
settings=$(mktemp)
trap 'rm -rf "$settings" "$dir.new"' EXIT
apt-config dump 2>/dev/null | grep -E '^Acquire::(Check-|http|https|ForceIPv|Retries)' >"$settings" || true
# apt's own user may not reach a private folder.
echo 'APT::Sandbox::User "root";' >>"$settings"
mkdir -p "$(dirname "$dir")"
rm -rf "$dir.new"
mmdebstrap --quiet --arch="$arch" --aptopt="$settings" --skip=cleanup/apt/lists "$@" "$suite" "$dir.new" $(mirror)
sed -i '/^APT::Sandbox::User/d' "$dir.new/etc/apt/apt.conf.d/99mmdebstrap"
rm -rf "$dir"
mv "$dir.new" "$dir"
