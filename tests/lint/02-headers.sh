#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone: including it requires no other include before it.
. "$(dirname "$0")/lint.inc"

flags="$(make -s print-PKG_CFLAGS)"
complaints=
for header in $(c_files | grep '\.h$'); do
	# -include, since a header as the main file would cause a warning about #pragma once
	said=$(${CC:-gcc} -std=c11 -D_GNU_SOURCE -DWATTRIBUTE_VERSION='"0"' -Wall -Wno-unused-function -fsyntax-only \
		-Iinclude -Icommon -Isensor -Iserver -Iclient -I. -I"${BUILD:-build}" $flags -include "$header" -x c /dev/null 2>&1 | grep -E 'error|warning' | head -2)
	[ -z "$said" ] || complaints="$complaints$said
"
done
verdict "every header compiles alone" "$complaints"
verdict "every header has #pragma once" "$(grep -L '^#pragma once' $(c_files | grep '\.h$'))"
