#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Half an hour of containers that come and go; fails if memory or descriptors grow.
# usage: tests/bench/soak.sh [MINUTES [OPTION-OF-soak.py...]]
TOP=$(cd "$(dirname "$0")/../.." && pwd)
minutes=${1:-30}
[ $# = 0 ] || shift
make -s -C "$TOP" BUILD="${BUILD:-build}" all bench-programs || exit 1
exec "$TOP/tests/bench/soak.py" --build "${BUILD:-$TOP/build}" --minutes "$minutes" "$@"
