# SPDX-License-Identifier: Apache-2.0
# Prometheus's own checker, to be sourced after tap.sh: the installed one, else only the program from Debian's
# package (19 MB, kept in $WATTRIBUTE_CACHE), since installing the package would start a server.
#
#   promtool_find      its path in $PROMTOOL, or 1 with the reason in $promtool_why

CACHE=${WATTRIBUTE_CACHE:-$HOME/.cache/wattribute}
promtool_why=

promtool_find() {
	PROMTOOL=$(command -v promtool) && return 0
	PROMTOOL=$CACHE/promtool
	[ -x "$PROMTOOL" ] && return 0
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		promtool_why="promtool is not installed (Debian package prometheus)"
		return 1
	fi
	mkdir -p "$CACHE" "$TAP_DIR/promtool"
	if (cd "$TAP_DIR/promtool" && timeout 180 apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb tree) \
		>"$TAP_DIR/promtool.log" 2>&1; then
		cp "$TAP_DIR/promtool/tree/usr/bin/promtool" "$PROMTOOL.$$" && mv "$PROMTOOL.$$" "$PROMTOOL"
		rm -rf "$TAP_DIR/promtool"
		return 0
	fi
	promtool_why="promtool is not installed, and Debian's package prometheus is not available: $(tail -n 1 "$TAP_DIR/promtool.log")"
	return 1
}

#   prometheus_find    the server's path in $PROMETHEUS, the same way
prometheus_find() {
	PROMETHEUS=$(command -v prometheus) && return 0
	PROMETHEUS=$CACHE/prometheus
	[ -x "$PROMETHEUS" ] && return 0
	mkdir -p "$CACHE" "$TAP_DIR/prometheus"
	if (cd "$TAP_DIR/prometheus" && timeout 180 apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb tree) \
		>"$TAP_DIR/prometheus.log" 2>&1; then
		cp "$TAP_DIR/prometheus/tree/usr/bin/prometheus" "$PROMETHEUS.$$" && mv "$PROMETHEUS.$$" "$PROMETHEUS"
		rm -rf "$TAP_DIR/prometheus"
		return 0
	fi
	promtool_why="prometheus is not installed, and Debian's package is not available: $(tail -n 1 "$TAP_DIR/prometheus.log")"
	return 1
}
