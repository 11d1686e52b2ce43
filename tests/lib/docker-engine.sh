#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts the tests' Docker engine and leaves it running, or stops it: for working by hand, so that each test script
# need not start its own. usage: docker-engine.sh start [--perf-v1 | --v2] | stop
set -eu
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/docker.sh"
case ${1:-} in
start)
	need_docker "${2:-}"
	: >"$TAP_DIR/on-exit"
	if [ -d /sys/fs/cgroup/perf_event ]; then : >"$DOCKER_STATE/perf-v1"; fi
	need_base_image
	need_busybox_image
	docker version --format '# engine {{.Server.Version}} runs'
	;;
stop)
	docker_stop_engine
	if [ -e "$DOCKER_STATE/perf-v1" ]; then
		rm "$DOCKER_STATE/perf-v1"
		docker_unmount_perf_v1
	fi
	;;
*)
	sed -n 3,4p "$0" >&2
	exit 2
	;;
esac
tap_ended=1
