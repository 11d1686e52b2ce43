#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make ARCH=arm64`: programs, unit tests and the BPF program, cross-compiled. usage: tests/cross.sh     Prints TAP.
set -u
. "$(dirname "$0")/lib/tap.sh"
arch=arm64
root=$("$TOP/scripts/cross-root.sh" $arch 2>"$TAP_DIR/root.log" | tail -n 1)
[ -d "$root" ] || skip_all "no libraries for $arch here: $(tail -n 1 "$TAP_DIR/root.log")"
target=$BUILD/$arch
ok "make ARCH=$arch, without a warning" make -s -C "$TOP" -j"$(nproc)" ARCH=$arch BUILD="$target" WERROR=-Werror all unit || done_testing
for program in wattribute-sensor wattribute-server wattribute wattribute-sim; do
	like "$(readelf -h "$target/$program")" 'Machine: *AArch64' "$program is for $arch"
	libraries=$(readelf -d "$target/$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	missing=$(for library in $libraries; do ls "$root"/usr/lib/*/"$library" "$root"/lib/*/"$library" 2>/dev/null | grep -q . || echo "$library"; done)
	is "$missing" '' "$program: each of its $(echo "$libraries" | wc -l) libraries exists for $arch"
done
done_testing
