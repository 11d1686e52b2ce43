#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes a bill of materials in SPDX 2.3 (JSON) to standard output. usage:
#   scripts/sbom.sh PROGRAM...       the programs, and the Debian package of each library that they load
#   scripts/sbom.sh --image IMAGE    every Debian package in a Docker image
# The same input gives the same output: the date is SOURCE_DATE_EPOCH, or that of the last commit.
set -eu
cd "$(dirname "$0")/.."

version=$(sed -n 's/^VERSION := //p' Makefile)
seconds=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
created=$(date -u -d "@$seconds" +%Y-%m-%dT%H:%M:%SZ)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() { echo "sbom.sh: $*" >&2; exit 1; }
id() { printf %s "$1" | tr -c 'A-Za-z0-9.-' '-'; }

# package NAME VERSION ARCHITECTURE RELATION: one package, and its relation to the product
package() {
	printf ',{"SPDXID":"SPDXRef-Package-%s","name":"%s","versionInfo":"%s","supplier":"Organization: Debian",' "$(id "$1-$3")" "$1" "$2"
	printf '"downloadLocation":"NOASSERTION","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","licenseDeclared":"NOASSERTION","copyrightText":"NOASSERTION",'
	printf '"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:deb/debian/%s@%s?arch=%s"}]}\n' \
		"$1" "$(printf %s "$2" | sed 's/+/%2B/g; s/:/%3A/g; s/~/%7E/g')" "$3"
	printf ',{"spdxElementId":"SPDXRef-Product","relationshipType":"%s","relatedSpdxElement":"SPDXRef-Package-%s"}\n' "$4" "$(id "$1-$3")" >>"$work/relations"
}

# file PATH: one of our programs with its hash
file() {
	name=${1##*/}
	printf ',{"SPDXID":"SPDXRef-File-%s","fileName":"./%s","checksums":[{"algorithm":"SHA256","checksumValue":"%s"},{"algorithm":"SHA1","checksumValue":"%s"}],"fileTypes":["BINARY"],"licenseConcluded":"NOASSERTION","copyrightText":"NOASSERTION"}\n' \
		"$(id "$name")" "$name" "$(sha256sum "$1" | cut -d' ' -f1)" "$(sha1sum "$1" | cut -d' ' -f1)" >>"$work/files"
	printf ',{"spdxElementId":"SPDXRef-File-%s","relationshipType":"GENERATED_FROM","relatedSpdxElement":"SPDXRef-Product"}\n' "$(id "$name")" >>"$work/relations"
}

# The Debian packages of the libraries that the programs load, one "name version architecture" a line.
libraries() {
	for program; do ldd "$program" || die "cannot list the libraries of $program"; done |
		sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u | while read -r library; do
		# A package may own the path with or without a leading /usr: both are the same folder.
		real=$(readlink -f "$library")
		owner=$(dpkg-query -S "$real" 2>/dev/null || dpkg-query -S "${real#/usr}" 2>/dev/null) || die "no Debian package owns $library: build the list on Debian"
		echo "${owner%%: *}"
	done | sort -u | xargs -r dpkg-query -W -f '${Package} ${Version} ${Architecture}\n'
}

# The chart library of the live page is part of the server.
vendored() {
	release=$(sed -n 's/^.*uPlot[^0-9]*\([0-9][0-9.]*[0-9]\).*/\1/p' server/page/vendor/* | head -n 1)
	printf ',{"SPDXID":"SPDXRef-Package-uPlot","name":"uplot","versionInfo":"%s","downloadLocation":"NOASSERTION","filesAnalyzed":false,"licenseConcluded":"MIT","licenseDeclared":"MIT","copyrightText":"NOASSERTION",' "$release"
	printf '"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/uplot@%s"}]}\n' "$release"
	printf ',{"spdxElementId":"SPDXRef-Product","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-Package-uPlot"}\n' >>"$work/relations"
}

[ $# -gt 0 ] || die "give the programs, or --image and an image"
: >"$work/files"
: >"$work/relations"
if [ "$1" = --image ]; then
	name=${2:?give an image}
	docker run --rm --entrypoint dpkg-query "$name" -W -f '${Package} ${Version} ${Architecture}\n' >"$work/list" || die "cannot list the packages of $name"
	relation=CONTAINS
else
	name=wattribute
	for program; do [ -f "$program" ] || die "$program: no such program; run make first"; done
	libraries "$@" >"$work/list"
	for program; do file "$program"; done
	relation=DYNAMIC_LINK
fi
while read -r package release architecture; do package "$package" "$release" "$architecture" $relation; done <"$work/list" >"$work/packages"
[ "$relation" = CONTAINS ] || vendored >>"$work/packages"
digest=$(cat "$work/packages" "$work/files" | sha256sum | cut -c1-32)

cat <<END
{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"$name-$version",
"documentNamespace":"https://spdx.org/spdxdocs/$(id "$name")-$version-$digest",
"creationInfo":{"created":"$created","creators":["Tool: wattribute-sbom.sh-$version"]},
"packages":[
{"SPDXID":"SPDXRef-Product","name":"$name","versionInfo":"$version","downloadLocation":"NOASSERTION","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","licenseDeclared":"Apache-2.0","copyrightText":"NOASSERTION"}
$(cat "$work/packages")
],
"files":[
$(sed '1s/^,//' "$work/files")
],
"relationships":[
{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-Product"}
$(cat "$work/relations")
]}
END
