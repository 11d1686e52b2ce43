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
		Runs a container of IMAGE pinned to one CPU, removes it afterwards, and prints
		the energy that it used.

		  -n, --name NAME          name of the container and of the recap (default:
		                           IMAGE after its last '/', with ':' replaced by '_')
		  -s, --server HOST:PORT   the wattribute server (default localhost:27019)
		  -m, --machine NAME       name of this machine's sensor (default: host name
		                           without its domain)
		  -d, --database NAME      database of the recap (default rapls2)
		      --token WORD         the server's --token, or @FILE that contains it;
		                           prefer WATTRIBUTE_TOKEN or a file
		  -c, --cpus LIST          CPUs to pin to, in docker's syntax (default 0; 'all':
		                           do not pin)
		  -o, --docker-option OPT  additional option for docker run, e.g.
		                           -o --memory=1g; can be repeated
		  -i, --interactive        connect the container to this terminal's input
		  -w, --wait SECONDS       how long to wait for the recap (default 60)
		      --no-check           do not ask the server before the run whether it knows
		                           machine and database
		  -h, --help               print this text     -V, --version

		Options go before IMAGE; everything after IMAGE is passed to the container.
		Server, machine, database and CPUs can also be set in the environment
		(WATTRIBUTE_SERVER, WATTRIBUTE_MACHINE, WATTRIBUTE_DATABASE, WATTRIBUTE_CPUS,
		WATTRIBUTE_TOKEN) or by lines such as 'server = HOST:PORT' in
		./wattribute.conf or ~/.wattributerc.

		A line of the container's output that starts with --++ marks the start of the
		warm-up, and one that starts with ++-- the start of the main loop. The last
		line of each kind counts.

		Before the run, one request asks the server whether it knows the machine and
		the database.

		The exit status is the container's; 74 if the container succeeded but there is
		no recap; 2 if an option, the server, the machine or the database is wrong:
		then nothing has run. 125 if docker could not run it, 126 or 127 if it has no
		such command.
	EOF
}
say() { printf '%s: %s\n' "$me" "$*" >&2; }
fail() {
	say "$1"
	exit "${2:-2}"
}

# --- settings: option > environment > file > default ---------------------------------------------------------------

name= server= machine= database= cpus= token= wait_s=60 interactive= docker_options= check=1

# Reads 'key = value' lines; never runs them. Only what is not set yet is taken.
read_settings() {
	settings_line=0
	while IFS= read -r line || [ -n "$line" ]; do
		settings_line=$((settings_line + 1))
		line=$(printf '%s' "$line" | tr -d '\r' | sed 's/^[[:space:]]*//; s/[[:space:]]*$//')
		case $line in
		'' | '#'*) continue ;;
		*=*) ;;
		*) fail "$1:$settings_line: expected 'key = value'" ;;
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
	--no-check) check= && shift ;;
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
case $token in
@?*)
	file=${token#@}
	token=$(cat "$file") || fail "cannot read the token file '$file'"
	case $token in
	'' | *"$newline"*) fail "the file '$file' must contain one line of text, the token" ;;
	esac
	;;
esac
server=${server:-localhost:27019}
machine=${machine:-$(uname -n | cut -d. -f1)}
database=${database:-rapls2}
cpus=${cpus:-0}
case $server in
*://*) ;;
*) server=http://$server ;;
esac
server=${server%/}
# A user's password in it is for curl alone.
shown_server=$(printf '%s' "$server" | sed 's|://.*@|://***@|')
fail_address() { fail "'$shown_server' is not a server address: give -s HOST:PORT, http://HOST:PORT or https://HOST:PORT"; }
case $server in
*[?#\ ]* | *:///*) fail_address ;;
[hH][tT][tT][pP]://* | [hH][tT][tT][pP][sS]://*) ;;
*) fail_address ;;
esac

if [ -z "$name" ]; then
	name=${image##*/}
	name=$(printf '%s' "${name%%@*}" | tr ':' '_')
fi
case $name in
[a-zA-Z0-9]?*) ;;
*) fail "'$name' cannot name a container: use at least two characters, the first a letter or digit (-n NAME)" ;;
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

# For curl's standard input: arguments can be seen by every user of the machine.
authorize() {
	printf 'url = "%s"\n' "$(printf '%s' "$url" | sed 's/["\\]/\\&/g')"
	if [ -n "$token" ]; then
		printf 'header = "Authorization: Bearer %s"\n' "$(printf '%s' "$token" | sed 's/["\\]/\\&/g')"
	fi
}
# A proxy cannot reach what listens on this machine only, whatever the environment says.
direct=${no_proxy:-${NO_PROXY:-}}
[ "$direct" = '*' ] || direct=${direct:+$direct,}localhost,127.0.0.1,::1
# request CURL-OPTION...: the HTTP status in $code, the body in the file $answer; false without an answer.
request() {
	code=$(authorize | no_proxy=$direct curl -K - -sS --connect-timeout 10 -o "$answer" -w '%{http_code}' "$@")
}
# The server's own sentence in an error's answer.
answer_text() { head -c 800 "$answer" | tr '\n' ' ' | sed 's/^{"error": *"\(.*\)"} *$/\1/; s/\\"/"/g'; }
say_token() { say "the server at $shown_server requires its --token: give it with --token, WATTRIBUTE_TOKEN or 'token = WORD' in ~/.wattributerc"; }
# Text as one word of a shell command, for people to paste.
quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# Standard input with a '?' for each byte that is no character of UTF-8, or controls a terminal.
only_text() {
	od -An -v -tu1 | awk '
		{ for (i = 1; i <= NF; i++) byte[++n] = $i + 0 }
		function is_character(at, size,   i) {
			if (size == 0 || at + size - 1 > n) return 0
			for (i = 1; i < size; i++) if (byte[at + i] < 128 || byte[at + i] > 191) return 0
			if (byte[at] == 224 && byte[at + 1] < 160 || byte[at] == 240 && byte[at + 1] < 144) return 0
			if (byte[at] == 237 && byte[at + 1] > 159 || byte[at] == 244 && byte[at + 1] > 143) return 0
			return !(byte[at] < 32 || byte[at] == 127 || byte[at] == 194 && byte[at + 1] < 160)
		}
		END {
			for (at = 1; at <= n; at += size) {
				first = byte[at]
				size = first < 128 ? 1 : first < 194 ? 0 : first < 224 ? 2 : first < 240 ? 3 : first < 245 ? 4 : 0
				if (!is_character(at, size)) {
					printf "?"
					size = 1
				} else {
					for (i = 0; i < size; i++) printf "%c", byte[at + i]
				}
			}
		}'
}

# Do two of docker's lists of CPUs, such as 0-3,5, have one in common?
share_cpu() {
	awk -v one="$1" -v other="$2" '
		function expand(list, cpus,   parts, ends, n, i, cpu) {
			n = split(list, parts, ",")
			for (i = 1; i <= n; i++) {
				if (split(parts[i], ends, "-") < 2) ends[2] = ends[1]
				for (cpu = ends[1] + 0; cpu <= ends[2] + 0 && cpu < 65536; cpu++) cpus[cpu] = 1
			}
		}
		BEGIN {
			expand(one, ours)
			expand(other, theirs)
			for (cpu in ours) if (cpu in theirs) exit 0
			exit 1
		}'
}

folder=$(mktemp -d "${TMPDIR:-/tmp}/tester.XXXXXX") || fail "cannot create a folder in ${TMPDIR:-/tmp}; set TMPDIR to a writable one" 125
answer=$folder/answer
: >"$answer"
trap 'rm -rf "$folder"' EXIT
path=/$(url_encode "$database")/$(url_encode "$machine")
url=$server$path

# --- before the run -----------------------------------------------------------------------------------------------

if [ -n "$check" ]; then
	request --max-time 20 2>"$folder/curl" || code=000
	# A page in answer to a request of the API: anybody's web server.
	case $code in 200 | 404) case $(head -c 1 "$answer") in '<') code="$code, a page" ;; esac ;; esac
	case $code in
	200)
		age=$(sed -n 's/.*"age": *\([0-9][0-9]*\).*/\1/p' "$answer")
		interval=$(sed -n 's/.*"interval": *\([0-9][0-9]*\).*/\1/p' "$answer")
		if [ "${age:-0}" -gt $((30 + 3 * ${interval:-0})) ]; then
			say "warning: the sensor '$machine' has written nothing for $age s; check that it is running"
		fi
		;;
	000) fail "the server at $shown_server did not answer; check that it is running, and the address (-s HOST:PORT): $(sed 's/^curl: //' "$folder/curl" | head -n 1)" ;;
	401)
		say_token
		exit 2
		;;
	403) fail "the server at $shown_server refuses the request: $(answer_text); choose the database with -d NAME" ;;
	404) fail "the server at $shown_server does not know this machine: $(answer_text); choose the machine with -m NAME (--no-check: run anyway)" ;;
	429 | 5??) say "warning: the server at $shown_server cannot currently tell whether it knows the machine (HTTP $code): $(answer_text)" ;;
	*) fail "the program at $shown_server is not a wattribute-server (HTTP $code); check the address (-s HOST:PORT), or use --no-check" ;;
	esac
fi

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
trap 'remove_container; rm -rf "$folder"' EXIT
trap 'interrupt 130' INT
trap 'interrupt 143' TERM
trap 'interrupt 129' HUP

# For the recap: as much of the arguments as it takes.
command=$(printf '%s' "$*" | tr '\n\t\r' '   ' | head -c 1000 | only_text)
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

# explain_create: what to do about docker's error, which was shown as it came.
explain_create() {
	case $(cat "$folder/docker") in
	*'already in use'*) say "the name '$name' is taken: docker rm -f '$name', or choose another with -n NAME" ;;
	*'invalid reference format'*) say "'$image' is not the name of an image; options go before it, the container's arguments after it" ;;
	*'unknown flag'* | *'unknown shorthand flag'* | *'invalid argument'*) say "docker does not accept one of the options from -o: see docker create --help" ;;
	*[cC]puset* | *'Requested CPUs are not available'*) say "docker cannot pin the container to the CPUs '$cpus': this machine has $(cpus_here); choose with -c LIST, as in -c 0 or -c 0-1 or -c all" ;;
	*'No such image'* | *'pull access denied'* | *'manifest unknown'* | *'not found'* | *'failed to resolve reference'* | *'no such host'* | *'TLS handshake'* | *'Client.Timeout'* | *'connection refused'*)
		say "there is no image '$image' on this machine, and docker could not pull it: check the name and the tag (docker images lists the local ones), and access to the registry (docker pull '$image'; docker login for a private one)"
		;;
	*'connect to the Docker daemon'* | *'permission denied'*) say "docker does not answer: check that it is running, and that you may use it (group docker, or sudo)" ;;
	*) say "docker could not create the container '$name'" ;;
	esac
}
cpus_here() { echo "the CPUs $(cat /sys/devices/system/cpu/online 2>/dev/null || echo "0 to $(($(getconf _NPROCESSORS_ONLN) - 1))")"; }

# docker's messages are shown as they come (it may load an image for minutes), and kept.
mkfifo "$folder/pipe"
tee "$folder/docker" <"$folder/pipe" >&2 &
shown=$!
status=0
created=$(docker create --log-driver json-file --name "$name" "$@" 2>"$folder/pipe") || status=$?
wait "$shown" || true
if [ "$status" != 0 ]; then
	if [ -n "$interrupted" ]; then exit "$interrupted"; fi
	explain_create
	exit 125
fi
container=$(printf '%s\n' "$created" | tail -n 1)
if [ -n "$interrupted" ]; then exit "$interrupted"; fi

# Two runs on one CPU take longer, and each other's energy: the default is the same for all.
warn_shared_cpus() {
	# shellcheck disable=SC2046 # ids have no blanks
	set -- $(docker ps -q --no-trunc --filter status=running --filter status=created 2>/dev/null)
	[ $# != 0 ] || return 0
	docker inspect --format '{{.Id}} {{.HostConfig.CpusetCpus}} {{.Name}}' "$@" 2>/dev/null | while read -r id list other; do
		if [ "$id" = "$container" ] || [ -z "$other" ]; then continue; fi
		if share_cpu "$cpus" "$list"; then
			say "warning: the container '${other#/}' is pinned to CPU $list, too: both runs slow each other down; pin this one elsewhere with -c LIST"
		fi
	done
}
if [ "$cpus" != all ]; then warn_shared_cpus; fi

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

set -- --data-urlencode "name=$name" --data-urlencode "id=$container" --data-urlencode "begin=$begin" \
	--data-urlencode "beginwarmup=$begin_warmup" --data-urlencode "beginexecution=$begin_execution" \
	--data-urlencode "end=$end" --data-urlencode wholelife=1 --data-urlencode "image=$image" \
	--data-urlencode "command=$command" --data-urlencode "exit_status=$status" --data-urlencode "cpus=$cpus"
if request -G -X POST -H 'Accept: text/plain' --max-time "$wait_s" "$@" && [ "$code" = 200 ]; then
	{
		echo
		cat "$answer"
	} >&2
	exit "$status"
fi
case ${code:-000} in
401) say_token ;;
000) say "the server at $shown_server did not answer; check that it is running, and the address (-s HOST:PORT)" ;;
*) say "the server at $shown_server returned no recap (HTTP $code): $(answer_text)" ;;
esac
say "the reports of the run are still stored; to request the recap again:"
say "  curl -G -X POST -H 'Accept: text/plain'${token:+ -H \"Authorization: Bearer \$WATTRIBUTE_TOKEN\"} '$shown_server$path' -d 'name=$name' -d 'id=$container' -d begin=$begin -d beginwarmup=$begin_warmup -d beginexecution=$begin_execution -d end=$end -d wholelife=1 --data-urlencode $(quote "image=$image") --data-urlencode $(quote "command=$command") -d exit_status=$status -d 'cpus=$cpus'"
[ "$status" != 0 ] || status=74
exit "$status"
