#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pure files: numbers in, numbers out. No event loop, no store, no log, no files, no clock.
. "$(dirname "$0")/lint.inc"

pure=$(ls sensor/event.c sensor/target.c sensor/scale.c server/tick*.c server/join*.c server/pace.c server/feature*.c server/layer*.c \
	server/fit*.c server/share*.c server/recap.c server/recap_*.c server/formula*.c common/report.c \
	common/text_nearest.c common/text_utf8.c common/http_target.c common/config_json_where.c common/ipc_cursor.c 2>/dev/null)
verdict "pure files include no loop, store, log or clock" \
	"$(grep -nE '^#[ \t]*include[ \t]*["<](ev|mongoc.*|sqlite3|log|clock|store|http|fcntl|time|sys/time|sys/stat)\.?h?[">/]' $pure /dev/null)"
verdict "pure files open nothing and read no clock" \
	"$(grep -nE '(^|[^A-Za-z0-9_>.])(fopen|open|openat|read|write|socket|clock_gettime|clock_monotonic_ns|clock_realtime_ms|time|getenv|printf|fprintf)[ ]?\(' $pure /dev/null |
		grep -vE ':[0-9]+:[ \t]*(/?\*|//)')"
