#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pure code: numbers in, numbers out. No event loop, no store, no log, no files, no clock.
. "$(dirname "$0")/lint.inc"

# Whole folders; elsewhere the arithmetic of a module whose other files do I/O: scales of counters, the pace of
# reading, recaps (except their jobs), validation of reports, text, targets of HTTP requests, messages between processes.
folders="sensor/event server/tick server/formula"
# (event/pmu.c reads the kernel's description of its PMUs; the other files interpret it.)
pure="$(find $folders -name '*.c' ! -name pmu.c) sensor/machine/scale.c server/input/pace.c
	server/recap/recap.c $(ls server/recap/recap_*.c | grep -v recap_job) common/document/report.c
	common/base/text.c common/http/http_target.c common/process/ipc_cursor.c"
verdict "pure folders and files exist" "$(for at in $folders $pure; do [ -e "$at" ] || echo "$at"; done)"
verdict "pure files include no loop, store, log or clock" \
	"$(grep -nE '^#[ \t]*include[ \t]*["<](ev|mongoc.*|sqlite3|base/log|base/clock|store/store|http/http|fcntl|time|sys/time|sys/stat)\.?h?[">/]' $pure /dev/null)"
verdict "pure files open nothing and read no clock" \
	"$(grep -nE '(^|[^A-Za-z0-9_>.])(fopen|open|openat|read|write|socket|clock_gettime|clock_monotonic_ns|clock_realtime_ms|time|getenv|printf|fprintf)[ ]?\(' $pure /dev/null |
		grep -vE ':[0-9]+:[ \t]*(/?\*|//)')"
