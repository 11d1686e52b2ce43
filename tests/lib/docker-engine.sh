#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts the tests' Docker engine and leaves it running, or stops it: for manual work, so that test scripts
# need not start one each. usage: docker-engine.sh start [--perf-v1 | --v2] | stop
set -eu
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/docker.sh"
case ${1:-} in
start)
	need_docker "${2:-}"
	: >"$DOCKER_STATE/keep"
	need_base_image
	need_busybox_image
	docker version --format '# engine {{.Server.Version}} runs'
	;;
stop)
	rm -f "$DOCKER_STATE/keep"
	docker_stop_engine
	;;
*)
	sed -n 3,4p "$0" >&2
	exit 2
	;;
esac
tap_ended=1
