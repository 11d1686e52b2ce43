#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the module power.ko for a kernel of tests/kernel/ring.sh, against its own headers, which are kept beside it in the cache.
# usage: build.sh NAME FOLDER; the module is then FOLDER/power.ko. Status 3 and the reason if that is not possible here.
set -euo pipefail
name=$1 folder=$2
here=$(cd "$(dirname "$0")" && pwd)
kernel=$("$here/../ring.sh" fetch "$name")
version=$(cat "$kernel.version") suite=$("$here/../ring.sh" names | awk -v name="$name" '$1 == name { print $2 }')
headers=$kernel.headers
die() {
	echo "build.sh: $1" >&2
	exit 3
}
fetch_headers() {
	local work=$headers.new common package
	rm -rf "$work"
	mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
	echo "deb $([ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]') $("$here/../ring.sh" mirror) $suite main" \
		>"$work/sources.list"
	apt_options=(-o Dir::State::lists="$work/lists" -o Dir::Cache="$work" -o Dir::Etc::sourcelist="$work/sources.list"
		-o Dir::Etc::sourceparts=/dev/null -o Acquire::Languages=none -o APT::Sandbox::User=root)
	apt-get "${apt_options[@]}" update -qq >"$work/log" 2>&1 || die "the list of $suite cannot be fetched: $(tail -n 1 "$work/log")"
	common=${version%-amd64}-common
	package=$(apt-cache "${apt_options[@]}" depends "linux-headers-$version" | awk '/Depends: linux-kbuild/ { print $2; exit }')
	(cd "$work" && apt-get "${apt_options[@]}" download "linux-headers-$version" "linux-headers-$common" "$package" libc6 >>log 2>&1) ||
		die "the archive has no headers of $version any more: $(tail -n 1 "$work/log")"
	mkdir "$work/libc"
	dpkg-deb -x "$work"/libc6_*.deb "$work/libc"
	rm "$work"/libc6_*.deb
	for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
	mv "$work" "$headers"
}
command -v apt-get >/dev/null || die "there is no apt-get to fetch the headers"
[ -d "$headers/root" ] || fetch_headers
tree=$headers/root/usr/src/linux-headers-$version
# The link points to where the packages would be installed.
sed -i "s,\([ =]\)/usr/src/,\1$headers/root/usr/src/," "$tree/Makefile"
# Its tools may need a newer C library than this machine's: then they run with the suite's.
for tool in "$(readlink -f "$tree/tools")"/objtool/objtool* "$(readlink -f "$tree/scripts")"/mod/modpost* "$(readlink -f "$tree/scripts")"/basic/fixdep*; do
	case $tool in *.own) continue ;; esac
	[ -x "$tool" ] || continue
	said=$(LC_ALL=C "$tool" --help 2>&1 </dev/null || true)
	case $said in *GLIBC_*'not found'*) ;; *) continue ;; esac
	loader=$(find "$headers/libc" -name 'ld-linux-x86-64.so.2' | head -n 1)
	libraries=$(dirname "$(find "$headers/libc" -name libc.so.6 | head -n 1)")
	mv "$tool" "$tool.own"
	printf '#!/bin/sh\nexec "%s" --library-path "%s:/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu" "%s.own" "$@"\n' "$loader" "$libraries" "$tool" >"$tool"
	chmod +x "$tool"
done
mkdir -p "$folder"
cp "$here/power.c" "$folder/power.c"
echo 'obj-m := power.o' >"$folder/Kbuild"
# The kernel was built by a newer compiler: options that this one does not know are dropped.
cat >"$folder/cc" <<'EOF2'
#!/bin/bash
given=("$@")
while ! LC_ALL=C ${POWER_CC:-gcc} "${given[@]}" 2>"$0.log.$$"; do
	unknown=$(sed -n "s/.*unrecognized command-line option '\([^']*\)'.*/\1/p" "$0.log.$$" | head -n 1)
	[ -n "$unknown" ] || break
	kept=()
	for option in "${given[@]}"; do [ "$option" = "$unknown" ] || kept+=("$option"); done
	[ ${#kept[@]} -lt ${#given[@]} ] || break
	given=("${kept[@]}")
done
status=$([ -s "$0.log.$$" ] && grep -q 'error:' "$0.log.$$" && echo 1 || echo 0)
cat "$0.log.$$" >&2
rm -f "$0.log.$$"
exit "$status"
EOF2
chmod +x "$folder/cc"
make -C "$tree" M="$folder" CC="$folder/cc" CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$folder/log" 2>&1 ||
	die "the module does not build: $(grep -m 1 -E 'rror|not found|\*\*\*' "$folder/log")"
