#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one container of an image, tells the server when it began and ended, and prints what it used.
# Needs sh, docker and curl. See usage() below; the machine must be watched by a sensor.
set -eu
LC_ALL=C
export LC_ALL
version=0.1.0
me=tester.sh

usage() {
	cat <<-'EOF'
		usage: ./tester.sh [options] IMAGE [ARGUMENT...]
		Runs a container of IMAGE pinned to one CPU, removes it afterwards, and prints the energy that it used.

		  -n, --name NAME          name of the container and of the recap (default: IMAGE from its last '/' on,
		                           with ':' replaced by '_')
		  -s, --server HOST:PORT   the wattribute server (default localhost:27019)
		  -m, --machine NAME       name of this machine's sensor (default: host name without its domain)
		  -d, --database NAME      database of the recap (default rapls2)
		      --token WORD         the server's --token; better in WATTRIBUTE_TOKEN or a file
		  -c, --cpus LIST          CPUs to pin to, in docker's syntax (default 0; 'all': do not pin)
		  -o, --docker-option OPT  additional option for docker run, e.g. -o --memory=1g; can be repeated
		  -i, --interactive        connect the container to this terminal's input
		  -w, --wait SECONDS       how long to wait for the recap (default 60)
		  -h, --help               print this text     -V, --version

		Options go before IMAGE; everything after IMAGE is passed to the container. Server, machine, database and
		CPUs can also be set in the environment (WATTRIBUTE_SERVER, WATTRIBUTE_MACHINE, WATTRIBUTE_DATABASE,
		WATTRIBUTE_CPUS, WATTRIBUTE_TOKEN) or by lines such as 'server = HOST:PORT' in ./wattribute.conf or ~/.wattributerc.

		A line of the container's output that starts with --++ marks the start of the warm-up, and one that starts
		with ++-- the start of the main loop. The last line of each kind counts.

		The exit status is the container's; 74 if the container succeeded but there is no recap;
		125 if docker could not run it, 126 or 127 if it has no such command.
	EOF
}
say() { printf '%s: %s\n' "$me" "$*" >&2; }
fail() {
	say "$1"
	exit "${2:-2}"
}

# --- settings: option > environment > file > default ---------------------------------------------------------------

name= server= machine= database= cpus= token= wait_s=60 interactive= docker_options=

# Reads 'key = value' lines; never runs them. Only what is not set yet is taken.
read_settings() {
	settings_line=0
	while IFS= read -r line || [ -n "$line" ]; do
		settings_line=$((settings_line + 1))
		line=$(printf '%s' "$line" | tr -d '\r' | sed 's/^[[:space:]]*//; s/[[:space:]]*$//')
		case $line in
		'' | '#'*) continue ;;
		*=*) ;;
		*) fail "$1:$settings_line: expected 'key = value', got '$line'" ;;
		esac
		key=$(printf '%s' "${line%%=*}" | sed 's/[[:space:]]*$//; s/^WATTRIBUTE_//' | tr '[:upper:]' '[:lower:]')
		value=$(printf '%s' "${line#*=}" | sed "s/^[[:space:]]*//; s/^\"\\(.*\\)\"\$/\\1/; s/^'\\(.*\\)'\$/\\1/")
		case $key in
		server) server=${server:-$value} ;;
		machine) machine=${machine:-$value} ;;
		database) database=${database:-$value} ;;
		cpus) cpus=${cpus:-$value} ;;
		token) token=${token:-$value} ;;
		*) fail "$1:$settings_line: unknown key '$key'; known: server machine database cpus token" ;;
		esac
	done <"$1"
}

newline='
'
# Docker options are kept one a line.
add_docker_option() {
	case $1 in
	*"$newline"*) fail "a docker option cannot contain a line break" ;;
	esac
	docker_options=$docker_options$1$newline
}

while [ $# -gt 0 ]; do
	option=$1
	case $option in
	--*=*)
		value=${option#*=}
		option=${option%%=*}
		shift
		set -- "$option" "$value" "$@"
		;;
	esac
	case $option in
	-n | --name | -s | --server | -m | --machine | -d | --database | -c | --cpus | --token | -o | --docker-option | -w | --wait)
		[ $# -ge 2 ] || fail "option $option needs a value; see $me --help"
		case $option in
		-n | --name) name=$2 ;;
		-s | --server) server=$2 ;;
		-m | --machine) machine=$2 ;;
		-d | --database) database=$2 ;;
		-c | --cpus) cpus=$2 ;;
		--token) token=$2 ;;
		-o | --docker-option) add_docker_option "$2" ;;
		-w | --wait) wait_s=$2 ;;
		esac
		shift 2
		;;
	-i | --interactive) interactive=1 && shift ;;
	-h | --help) usage && exit 0 ;;
	-V | --version) echo "$me (wattribute) $version" && exit 0 ;;
	--) shift && break ;;
	-*) fail "unknown option '$option'; see $me --help" ;;
	*) break ;;
	esac
done
if [ $# = 0 ]; then
	usage >&2
	exit 2
fi
image=$1
shift
case $wait_s in
'' | *[!0-9]*) fail "--wait takes whole seconds, not '$wait_s'" ;;
esac

server=${server:-${WATTRIBUTE_SERVER:-}}
machine=${machine:-${WATTRIBUTE_MACHINE:-}}
database=${database:-${WATTRIBUTE_DATABASE:-}}
cpus=${cpus:-${WATTRIBUTE_CPUS:-}}
token=${token:-${WATTRIBUTE_TOKEN:-}}
for file in ./wattribute.conf "${HOME:-/root}/.wattributerc"; do
	if [ -r "$file" ]; then read_settings "$file"; fi
done
server=${server:-localhost:27019}
machine=${machine:-$(uname -n | cut -d. -f1)}
database=${database:-rapls2}
cpus=${cpus:-0}
case $server in
http://* | https://*) ;;
*) server=http://$server ;;
esac
server=${server%/}

if [ -z "$name" ]; then
	name=${image##*/}
	name=$(printf '%s' "${name%%@*}" | tr ':' '_')
fi
case $name in
[a-zA-Z0-9]?*) ;;
*) fail "'$name' cannot name a container: at least two characters, the first a letter or digit; use -n NAME" ;;
esac
case $name in
*[!a-zA-Z0-9_.-]*) fail "'$name' cannot name a container: letters, digits, '_', '.' and '-' only; use -n NAME" ;;
esac
for program in docker curl; do
	command -v "$program" >/dev/null || fail "cannot find the program '$program'; install it"
done

# --- helpers ------------------------------------------------------------------------------------------------------

# Bytes that may not stand in a URL's path as %XX.
url_encode() {
	for byte in $(printf '%s' "$1" | od -An -v -tx1); do
		case $byte in
		2d | 2e | 3[0-9] | 4[1-9a-f] | 5[0-9a] | 5f | 6[1-9a-f] | 7[0-9a] | 7e)
			printf "\\$(printf '%03o' "0x$byte")"
			;;
		*) printf '%%%s' "$byte" ;;
		esac
	done
}

# RFC 3339 time, as the engine writes it, to epoch seconds with milliseconds.
to_epoch() {
	printf '%s\n' "$1" | awk '{
		year = substr($0, 1, 4) + 0; month = substr($0, 6, 2) + 0; day = substr($0, 9, 2) + 0
		seconds = substr($0, 12, 2) * 3600 + substr($0, 15, 2) * 60 + substr($0, 18, 2)
		rest = substr($0, 20); ms = "000"
		if (rest ~ /^\./) {
			match(rest, /^\.[0-9]+/)
			ms = substr(substr(rest, 2, RLENGTH - 1) "000", 1, 3)
			rest = substr(rest, RLENGTH + 1)
		}
		if (rest ~ /^[+-][0-9][0-9]:?[0-9][0-9]/) {
			gsub(/:/, "", rest)
			offset = substr(rest, 2, 2) * 3600 + substr(rest, 4, 2) * 60
			seconds -= (rest ~ /^-/) ? -offset : offset
		}
		# Days since 1970 by the civil calendar, years starting in March.
		if (month <= 2) { year -= 1; month += 12 }
		days = 365 * year + int(year / 4) - int(year / 100) + int(year / 400) + int((153 * (month - 3) + 2) / 5) \
			+ day - 1 - 719468
		printf "%.0f.%s\n", days * 86400 + seconds, ms
	}'
}

# Time of the last line of the container's standard output that starts with the marker; empty when there is none.
marker_time() {
	docker logs --timestamps "$container" 2>/dev/null | awk -v marker="$1" '
		{ space = index($0, " ") }
		substr($0, space + 1, 4) == marker { time = substr($0, 1, space - 1) }
		END { if (time != "") print time }'
}
earlier() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 < b + 0) }'; }

# --- the run ------------------------------------------------------------------------------------------------------

# Without --rm: the engine's own times and the output's markers are read after the end.
container=
interrupted=
remove_container() {
	if [ -n "$container" ]; then docker rm -f "$container" >/dev/null 2>&1 || true; fi
}
interrupt() {
	interrupted=$1
	say "interrupted; stopping the container"
	if [ -n "$container" ]; then docker stop -t 5 "$container" >/dev/null 2>&1 || true; fi
}
trap remove_container EXIT
trap 'interrupt 130' INT
trap 'interrupt 143' TERM
trap 'interrupt 129' HUP

# The arguments in front of the image, last first.
set -- "$image" "$@"
while [ -n "$docker_options" ]; do
	last=${docker_options%"$newline"}
	last=${last##*"$newline"}
	docker_options=${docker_options%"$last$newline"}
	set -- "$last" "$@"
done
if [ "$cpus" != all ]; then set -- "--cpuset-cpus=$cpus" "$@"; fi
if [ -n "$interactive" ]; then set -- --interactive "$@"; fi
created=$(docker create --log-driver json-file --name "$name" "$@") || {
	say "docker could not create the container '$name' (if the name is taken: docker rm -f '$name', or -n NAME)"
	exit 125
}
container=$(printf '%s\n' "$created" | tail -n 1)
if [ -n "$interrupted" ]; then exit "$interrupted"; fi

# In the background, so that an interrupt reaches this script and not the docker client.
exec 3<&0
if [ -n "$interactive" ]; then
	docker start --attach --interactive "$container" <&3 &
else
	docker start --attach "$container" </dev/null &
fi
client=$!
status=0
while :; do
	status=0
	wait "$client" || status=$?
	# A trapped signal ends `wait` early: wait on until the client is really gone.
	kill -0 "$client" 2>/dev/null || break
done
exec 3<&-
if [ -n "$interrupted" ]; then
	say "no recap of an interrupted run"
	exit "$interrupted"
fi

# --- the recap ----------------------------------------------------------------------------------------------------

read_state() {
	state=$(docker inspect --format '{{json .State.StartedAt}} {{json .State.FinishedAt}} {{.State.ExitCode}}' "$container" | tr -d '"')
	started=${state%% *}
	rest=${state#* }
	finished=${rest%% *}
	status=${rest#* }
}
read_state
case $started/$finished in
0001-*) ;;
*/0001-*)
	# The client has let go (its output was closed, or the detach keys): the run ends when the container does.
	docker wait "$container" >/dev/null
	read_state
	;;
esac
case $started in
0001-*)
	case $status in 126 | 127) ;; *) status=125 ;; esac
	fail "docker could not start the container" $status
	;;
esac
begin=$(to_epoch "$started")
end=$(to_epoch "$finished")
# The engine may note the start of a container that ends at once after its end; and its last line, when no line break
# follows it, after the container's end.
if earlier "$end" "$begin"; then begin=$end; fi
warmup_mark=$(marker_time '--++')
execution_mark=$(marker_time '++--')
begin_warmup=$begin
begin_execution=$begin
if [ -n "$warmup_mark" ]; then begin_warmup=$(to_epoch "$warmup_mark"); fi
if [ -n "$execution_mark" ]; then begin_execution=$(to_epoch "$execution_mark"); fi
if earlier "$begin_execution" "$begin_warmup"; then
	if [ -n "$execution_mark" ]; then
		say "the last --++ came after the last ++--: no warm-up is counted; the execution starts at the ++--"
	else
		say "no ++-- followed --++: the whole run counts as execution"
	fi
	begin_warmup=$begin_execution
fi
if earlier "$end" "$begin_execution"; then begin_execution=$end; fi
if earlier "$end" "$begin_warmup"; then begin_warmup=$end; fi
if earlier "$begin_execution" "$begin"; then begin_execution=$begin; fi
if earlier "$begin_warmup" "$begin"; then begin_warmup=$begin; fi

url=$server/$(url_encode "$database")/$(url_encode "$machine")
answer=$(mktemp "${TMPDIR:-/tmp}/tester.XXXXXX")
trap 'remove_container; rm -f "$answer"' EXIT
set -- --data-urlencode "name=$name" --data-urlencode "id=$container" --data-urlencode "begin=$begin" \
	--data-urlencode "beginwarmup=$begin_warmup" --data-urlencode "beginexecution=$begin_execution" \
	--data-urlencode "end=$end" --data-urlencode wholelife=1
# A proxy cannot reach what listens on this machine only, whatever the environment says.
direct=${no_proxy:-${NO_PROXY:-}}
[ "$direct" = '*' ] || direct=${direct:+$direct,}localhost,127.0.0.1,::1
# By curl's standard input: arguments can be seen by every user of the machine.
authorize() {
	if [ -n "$token" ]; then
		printf 'header = "Authorization: Bearer %s"\n' "$(printf '%s' "$token" | sed 's/["\\]/\\&/g')"
	fi
}
if code=$(authorize | no_proxy=$direct curl -K - -sS -G -X POST -H 'Accept: text/plain' --connect-timeout 10 --max-time "$wait_s" -o "$answer" \
	-w '%{http_code}' "$@" "$url") && [ "$code" = 200 ]; then
	{
		echo
		cat "$answer"
	} >&2
	exit "$status"
fi
case ${code:-000} in
401) say "the server at $server asks for its --token: give it by --token, WATTRIBUTE_TOKEN or 'token = WORD' in ~/.wattributerc" ;;
000) say "the server at $server did not answer; check that it is running, and the address (-s HOST:PORT)" ;;
*) say "the server at $server gave no recap (HTTP $code): $(head -c 500 "$answer" | tr '\n' ' ' | sed 's/^{"error": *"\(.*\)"} *$/\1/')" ;;
esac
say "the reports of the run are still stored; to request the recap again:"
say "  curl -G -X POST -H 'Accept: text/plain'${token:+ -H \"Authorization: Bearer \$WATTRIBUTE_TOKEN\"} '$url' -d 'name=$name' -d 'id=$container' -d begin=$begin -d beginwarmup=$begin_warmup -d beginexecution=$begin_execution -d end=$end -d wholelife=1"
[ "$status" != 0 ] || status=74
exit "$status"
