#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Puts cross-compiled programs and the libraries that they need into a guest's overlay.
# usage: tests/kernel/cross-overlay.sh ARCH DIR PROGRAM...
set -euo pipefail
arch=$1 dir=$2
shift 2
root=$("$(dirname "$0")/../../scripts/cross-root.sh" "$arch")
mkdir -p "$dir/bin" "$dir/usr/lib"

needed() { readelf -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
# take FILE: its libraries, and their dependencies
take() {
	local library path
	for library in $(needed "$1"); do
		[ ! -e "$dir/usr/lib/$library" ] || continue
		path=$(find "$root/usr/lib" "$root/lib" -name "$library" 2>/dev/null | head -n 1)
		[ -n "$path" ] || { echo "cross-overlay.sh: $1 needs $library, which is not in $root" >&2; exit 1; }
		cp -L "$path" "$dir/usr/lib/$library"
		take "$path"
	done
}
for program; do
	cp -L "$program" "$dir/bin/"
	take "$program"
done
