#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is formatted according to .clang-format.
. "$(dirname "$0")/lint.inc"

if ! command -v clang-format >/dev/null; then
	echo "ok 1 - C files are formatted # SKIP clang-format is not installed"
	exit 0
fi
# Each major version wraps lines a little differently; the one that formatted the tree decides.
version=$(clang-format --version | sed 's/.*version \([0-9]*\).*/\1/')
if [ "$version" != 14 ]; then
	echo "ok 1 - C files are formatted # SKIP the tree is formatted by clang-format 14 (Debian 12), here is $version"
	exit 0
fi
verdict "C files are formatted (fix: clang-format -i FILE)" \
	"$(clang-format --dry-run $(c_files) $(test_files) sensor/source/bpf/*.bpf.c 2>&1 | sed -n 's/^\([^:]*\):.*/\1/p' | sort | uniq -c)"
