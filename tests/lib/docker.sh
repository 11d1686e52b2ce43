# SPDX-License-Identifier: Apache-2.0
# A Docker engine for tests, to be sourced after tap.sh. A running engine is used unchanged and left
# running; one that this file started is stopped by the last script that uses it.
#
#   need_docker [--perf-v1 | --v2]   starts an engine if none runs; skips the whole script if none can run
#       --perf-v1   mounts the perf_event v1 hierarchy first (that takes it away from cgroup v2, machine-wide)
#       --v2        the engine sees cgroup v2 only
#   need_base_image [SUITE]          makes debian:SUITE-slim (trixie) for that engine (network once, then from a cache)
#   docker_build IMAGE DOCKERFILE    builds one of the project's images from the tree
#   docker_run_id                    prints a name prefix of this run, for containers and networks
#   need_docker_names                for scripts that use the documented names of images, containers and networks, and the
#                                    documented ports: one at a time; skips the whole script if another holds them
#
# Scripts that use the engine at the same time share it: names carry the script's process id, nothing is pruned.

CACHE=${WATTRIBUTE_CACHE:-$HOME/.cache/wattribute}
DOCKER_STATE=${WATTRIBUTE_DOCKER_STATE:-/run/wattribute-test-docker}
DOCKER_LOCK=/run/lock/wattribute-test-docker

docker_answers() { timeout 10 docker version >/dev/null 2>&1; }
docker_run_id() { echo "wt$$"; }

# If the machine's bounding set lacks CAP_SYS_RESOURCE, the OCI runtime cannot give a privileged container all
# requested capabilities and refuses to start it. A wrapper removes that one from the container's list.
docker_write_runtime() {
	cat >"$DOCKER_STATE/runc-less" <<-'EOF'
		#!/bin/sh
		before= file=
		for word; do
			case $before in
			--bundle | -b) file=$word/config.json ;;
			--process | -p) file=$word ;;
			esac
			before=$word
		done
		if [ -f "$file" ]; then sed -i 's/"CAP_SYS_RESOURCE",//g; s/,"CAP_SYS_RESOURCE"//g' "$file"; fi
		exec runc "$@"
	EOF
	chmod 755 "$DOCKER_STATE/runc-less"
}
docker_lacks_sys_resource() {
	docker_bounding=$(awk '/^CapBnd:/ { print $2 }' /proc/self/status)
	[ $((0x$docker_bounding >> 24 & 1)) = 0 ]
}

# docker_start_engine MODE: 0 if an engine finally answers.
docker_start_engine() {
	mkdir -p "$DOCKER_STATE"
	if [ "$1" = --perf-v1 ] && ! mountpoint -q /sys/fs/cgroup/perf_event; then
		mkdir -p /sys/fs/cgroup/perf_event
		mount -t cgroup -o perf_event cgroup /sys/fs/cgroup/perf_event || return 1
		: >"$DOCKER_STATE/perf-v1"
	fi
	set -- "$1" dockerd --pidfile "$DOCKER_STATE/dockerd.pid"
	if docker_lacks_sys_resource; then
		docker_write_runtime
		set -- "$@" --add-runtime less="$DOCKER_STATE/runc-less" --default-runtime less
	fi
	docker_mode=$1
	shift
	if [ "$docker_mode" = --v2 ]; then
		set -- unshare -m --propagation private sh -c \
			'umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' sh "$@"
	fi
	# It outlives its test: it must not inherit a lock that the caller holds for the test (flock LOCK COMMAND).
	setsid nohup "$@" >"$DOCKER_STATE/dockerd.log" 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
	wait_for 40 docker_answers
}
# True for an engine that a test has started, and not a user.
docker_is_ours() {
	[ ! -e "$DOCKER_STATE/keep" ] && [ -s "$DOCKER_STATE/dockerd.pid" ] &&
		[ "$(cat "/proc/$(cat "$DOCKER_STATE/dockerd.pid")/comm" 2>/dev/null)" = dockerd ]
}
docker_stop_engine() {
	timeout 60 docker ps -aq | xargs -r timeout 60 docker rm -f >/dev/null
	stop_process "$(cat "$DOCKER_STATE/dockerd.pid")" 60
	sleep 0.3
	for docker_dir in /sys/fs/cgroup/*/docker; do
		if [ -d "$docker_dir" ]; then find "$docker_dir" -depth -type d -exec rmdir {} + 2>/dev/null || true; fi
	done
	[ ! -e "$DOCKER_STATE/perf-v1" ] || docker_unmount_perf_v1
}
# Every user holds lock 8 as a reader; the one that gets it as a writer is the last. 9: no new user comes meanwhile.
docker_leave() {
	exec 9>"$DOCKER_LOCK"
	flock 9
	if docker_is_ours && flock -n -x 8; then docker_stop_engine; fi
}
# The kernel keeps the hierarchy busy for a moment after its last child group is removed.
docker_unmount_perf_v1() {
	rm -f "$DOCKER_STATE/perf-v1"
	sleep 0.5
	umount /sys/fs/cgroup/perf_event && rmdir /sys/fs/cgroup/perf_event
}

need_docker() {
	if ! docker_answers; then
		need_root
		if ! command -v dockerd >/dev/null; then
			"$TOP/scripts/install-deps.sh" docker >"$TAP_DIR/install.log" 2>&1 ||
				skip_all "no Docker engine here and none could be installed: $(tail -n 1 "$TAP_DIR/install.log")"
		fi
	fi
	[ "$(id -u)" = 0 ] || return 0 # the engine belongs to someone else
	# One starts it; the others wait for it and then use it.
	exec 9>"$DOCKER_LOCK"
	flock -w 300 9 || skip_all "another test has been starting or stopping a Docker engine for five minutes"
	on_exit docker_leave
	if ! docker_answers; then
		docker_start_engine "${1:-}" || {
			docker_why=$(tail -n 1 "$DOCKER_STATE/dockerd.log")
			docker_stop_engine
			skip_all "no Docker engine can run here: $docker_why"
		}
	fi
	exec 8>"$DOCKER_LOCK.users"
	flock -s 8
	exec 9>&-
}
need_docker_names() {
	exec 7>"$DOCKER_LOCK.names"
	flock -w 600 7 || skip_all 'another test has used the documented names and ports for ten minutes'
}

# docker_make_base SUITE: the image uses this machine's package sources.
docker_make_base() {
	docker_root=$TAP_DIR/base
	"$TOP/scripts/debian-root.sh" "$1" "$(dpkg --print-architecture)" "$docker_root" --variant=minbase --include=ca-certificates || return 1
	rm -rf "$docker_root"/var/cache/apt/archives/*.deb "$docker_root"/var/lib/apt/lists/* \
		"$docker_root"/usr/share/doc/* "$docker_root"/usr/share/man/* "$docker_root"/usr/share/locale/*
	cp /etc/ssl/certs/ca-certificates.crt "$docker_root/etc/ssl/certs/" 2>/dev/null
	mkdir -p "$CACHE"
	tar -C "$docker_root" -c . | zstd -q -3 >"$CACHE/debian-$1.tar.zst.$$" &&
		mv "$CACHE/debian-$1.tar.zst.$$" "$CACHE/debian-$1.tar.zst"
	rm -rf "$docker_root"
}
# The registry is asked first only if nothing is cached and it answers quickly.
need_base_image() {
	docker_suite=${1:-trixie}
	docker image inspect "debian:$docker_suite-slim" >/dev/null 2>&1 && return 0
	if [ ! -s "$CACHE/debian-$docker_suite.tar.zst" ]; then
		timeout 60 docker pull -q "debian:$docker_suite-slim" >/dev/null 2>&1 && return 0
		need_program mmdebstrap zstd
		docker_make_base "$docker_suite" >"$TAP_DIR/base.log" 2>&1 ||
			skip_all "no base image: neither the registry nor the package mirror gave one: $(tail -n 1 "$TAP_DIR/base.log")"
	fi
	zstd -dcq "$CACHE/debian-$docker_suite.tar.zst" | docker import -c 'CMD ["bash"]' - "debian:$docker_suite-slim" >/dev/null ||
		skip_all "no base image: the cached one cannot be loaded"
}
# A small image with a shell for loads, made from this machine's files: no network.
need_busybox_image() {
	docker image inspect wattribute-test/busybox >/dev/null 2>&1 && return 0
	need_program busybox
	mkdir -p "$TAP_DIR/busybox/bin"
	cp "$(command -v busybox)" "$TAP_DIR/busybox/bin/busybox"
	for docker_applet in sh sleep cat echo awk date dd seq true false test mkdir timeout wget; do
		ln -sf busybox "$TAP_DIR/busybox/bin/$docker_applet"
	done
	tar -C "$TAP_DIR/busybox" -c . | docker import -c 'ENV PATH=/bin' -c 'CMD ["sh"]' - wattribute-test/busybox >/dev/null ||
		skip_all "the busybox image cannot be made"
}

docker_build() { timeout 900 docker build -q -t "$1" -f "$TOP/docker/$2" "$TOP"; }
