#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shell completion, generated from the programs' own --help, which is printed from the option tables.
# usage: scripts/completion.sh bash|zsh|fish FOLDER-OF-PROGRAMS    (to standard output)
set -eu
LC_ALL=C
export LC_ALL
shell=$1 folder=$2

commands=$("$folder/wattribute" --help | sed -n 's/^  \([a-z][a-z]*\)  *\(.*\)/\1 \2/p')

# Options of a --help, one a line: LETTER|-, LONG, ARGUMENT|-, HELP, separated by tabs. Continued lines are joined.
options() {
	awk '
		function flush() {
			if (long != "") printf "%s\t%s\t%s\t%s\n", letter, long, argument, text
			long = ""
		}
		/^  (-[A-Za-z], |    )--/ {
			flush()
			letter = substr($0, 3, 1) == "-" ? substr($0, 4, 1) : "-"
			rest = substr($0, 7)
			match(rest, /^--[^ =[]+/)
			long = substr(rest, 3, RLENGTH - 2)
			rest = substr(rest, RLENGTH + 1)
			argument = "-"
			if (substr(rest, 1, 1) == "=" && match(rest, /^=[^ ]+/)) {
				argument = substr(rest, 2, RLENGTH - 1)
				rest = substr(rest, RLENGTH + 1)
			}
			sub(/^ +/, "", rest)
			text = rest
			next
		}
		/^                             [^ ]/ && long != "" { sub(/^ +/, ""); text = text (text == "" ? "" : " ") $0; next }
		{ flush() }
		END { flush() }'
}
# table: PROGRAM COMMAND|- LETTER LONG ARGUMENT HELP
table() {
	for command in $(printf '%s\n' "$commands" | cut -d' ' -f1); do
		"$folder/wattribute" "$command" --help | options | sed "s/^/wattribute	$command	/"
	done
	for program in wattribute-sensor wattribute-server; do
		"$folder/$program" --help | options | sed "s/^/$program	-	/"
	done
}

case $shell in
bash)
	echo '# bash completion of wattribute; made by scripts/completion.sh'
	cat <<-'END'
		# Names of stored runs, from the server and machine already typed. Names are untrusted: only harmless
		# ones are offered, as compgen -W would execute their content.
		_wattribute_runs() {
			local typed=() joined= i name
			for ((i = 2; i < COMP_CWORD; i++)); do
				case ${COMP_WORDS[i]} in
				= | :) joined=1 typed[${#typed[@]} - 1]+=${COMP_WORDS[i]} ;;
				*) if [ -n "$joined" ]; then joined= typed[${#typed[@]} - 1]+=${COMP_WORDS[i]}; else typed+=("${COMP_WORDS[i]}"); fi ;;
				esac
			done
			[ "${#typed[@]}" != 0 ] || [[ compare != "$1"* ]] || COMPREPLY+=(compare)
			while IFS= read -r name; do
				[[ $name == "$1"* && $name != *[!A-Za-z0-9._/@%+,-]* ]] && COMPREPLY+=("$name")
			done < <("${COMP_WORDS[0]}" recap "${typed[@]}" --limit 200 --names 2>/dev/null)
		}
		_wattribute_complete() {
			local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} key=${1##*/} i
			COMPREPLY=()
			if [ "$key" = wattribute ]; then
				if [ "$COMP_CWORD" = 1 ]; then
					COMPREPLY=($(compgen -W "$_wattribute_commands --help --version" -- "$word"))
					return
				fi
				key="$key ${COMP_WORDS[1]}"
			fi
			for ((i = 1; i < COMP_CWORD; i++)); do
				# Words after `run --` belong to another program.
				if [ "${COMP_WORDS[i]}" = -- ]; then
					COMPREPLY=($(compgen -c -f -- "$word"))
					return
				fi
			done
			# bash splits --option=value at the equals sign.
			if [ "$word" = = ]; then
				word=
			elif [ "$before" = = ]; then
				before=${COMP_WORDS[COMP_CWORD - 2]}
			fi
			case "$key $before" in
	END
	table | awk -F'\t' '$5 != "-" {
		key = $1 ($2 == "-" ? "" : " " $2)
		pattern = "\"" key " --" $4 "\"" ($3 == "-" ? "" : " | \"" key " -" $3 "\"")
		if ($5 ~ /^[a-z0-9-]+(\|[a-z0-9-]+)+$/) { gsub(/\|/, " ", $5); action = "$(compgen -W \"" $5 "\" -- \"$word\")" }
		else if ($5 ~ /FILE|PATH/) action = "$(compgen -f -- \"$word\")"
		else if ($5 ~ /DIR/) action = "$(compgen -d -- \"$word\")"
		else action = ""
		printf "\t%s) COMPREPLY=(%s); return ;;\n", pattern, action
	}'
	printf '\tesac\n\tcase "$key $word" in\n\t"wattribute recap "-*) ;;\n\t"wattribute recap "*) _wattribute_runs "$word"; return ;;\n\tesac\n\tcase $key in\n'
	table | awk -F'\t' '{ key = $1 ($2 == "-" ? "" : " " $2); words[key] = words[key] " --" $4 ($3 == "-" ? "" : " -" $3) }
		END { for (key in words) printf "\t\"%s\") COMPREPLY=($(compgen -W \"%s\" -- \"$word\")) ;;\n", key, substr(words[key], 2) }' | sort
	printf '\tesac\n}\n_wattribute_commands="%s"\n' "$(printf '%s\n' "$commands" | cut -d' ' -f1 | tr '\n' ' ' | sed 's/ $//')"
	echo 'complete -o filenames -F _wattribute_complete wattribute wattribute-sensor wattribute-server'
	;;
zsh)
	echo '#compdef wattribute wattribute-sensor wattribute-server'
	echo '# made by scripts/completion.sh'
	printf '_wattribute() {\n\tlocal -a commands options\n\tlocal key=$service\n\tcommands=(\n'
	printf '%s\n' "$commands" | sed "s/'/'\\\\''/g; s/^\([a-z]*\) *\(.*\)/\1 \2/; s/:/\\\\:/g; s/^\([a-z]*\) \(.*\)/\t\t'\1:\2'/"
	cat <<-'END'
			)
			if [[ $service = wattribute ]]; then
				if ((CURRENT == 2)); then
					_describe command commands
					return
				fi
				key="wattribute ${words[2]}"
				shift words
				((CURRENT--))
			fi
			case $key in
	END
	table | awk -F'\t' '
		function quoted(text) { gsub(/\047/, "\047\\\047\047", text); gsub(/\[/, "(", text); gsub(/\]/, ")", text); gsub(/:/, "\\:", text); return text }
		{
			key = $1 ($2 == "-" ? "" : " " $2)
			if (key != last) { if (last != "") print "\t\t) ;;"; printf "\t\"%s\") options=(\n", key; last = key }
			if ($5 ~ /^[a-z0-9-]+(\|[a-z0-9-]+)+$/) { words = $5; gsub(/\|/, " ", words); action = ":value:(" words ")" }
			else if ($5 ~ /FILE|PATH/) action = ":file:_files"
			else if ($5 ~ /DIR/) action = ":folder:_files -/"
			else if ($5 != "-") action = ":value: "
			else action = ""
			sign = action == "" ? "" : "="
			printf "\t\t\047--%s%s[%s]%s\047\n", $4, sign, quoted($6), action
			if ($3 != "-") printf "\t\t\047-%s[%s]%s\047\n", $3, quoted($6), action
		}
		END { print "\t\t) ;;" }'
	cat <<-'END'
			esac
			if [[ $key = 'wattribute recap' ]]; then
				_arguments -s : $options '*:run:_wattribute_runs'
			else
				_arguments -s : $options "*::arguments:_normal"
			fi
		}
		# Names of stored runs, from the server and machine already typed.
		_wattribute_runs() {
			local -a runs
			runs=(compare ${(f)"$(_call_program runs wattribute ${(q)words[1,CURRENT-1]} --limit 200 --names 2>/dev/null)"})
			compadd -a runs
		}
		_wattribute "$@"
	END
	;;
fish)
	echo '# fish completion of wattribute; made by scripts/completion.sh'
	printf '%s\n' "$commands" | sed "s/'/\\\\'/g; s/^\([a-z]*\) *\(.*\)/complete -c wattribute -n __fish_use_subcommand -f -a \1 -d '\2'/"
	cat <<-'END'
		function __wattribute_runs
			set -l typed (commandline -opc)
			wattribute $typed[2..-1] --limit 200 --names 2>/dev/null
		end
		complete -c wattribute -n '__fish_seen_subcommand_from recap' -f -a 'compare (__wattribute_runs)'
	END
	table | awk -F'\t' '
		function quoted(text) { gsub(/\047/, "\\\047", text); return text }
		{
			line = "complete -c " $1
			if ($2 != "-") line = line " -n \047__fish_seen_subcommand_from " $2 "\047"
			line = line " -l " $4
			if ($3 != "-") line = line " -s " $3
			if ($5 ~ /^[a-z0-9-]+(\|[a-z0-9-]+)+$/) { words = $5; gsub(/\|/, " ", words); line = line " -x -a \047" words "\047" }
			else if ($5 ~ /FILE|PATH|DIR/) line = line " -r"
			else if ($5 != "-") line = line " -x"
			print line " -d \047" quoted($6) "\047"
		}'
	;;
*)
	echo "usage: scripts/completion.sh bash|zsh|fish FOLDER" >&2
	exit 2
	;;
esac
