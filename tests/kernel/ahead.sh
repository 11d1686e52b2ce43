#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a test early, in parallel with another one. usage: ahead.sh FOLDER 'NAME|COMMAND...' runs it and keeps its output and
# status in the folder; ahead.sh FOLDER NAME waits until it has ended, and returns both. Called by tests/run.sh; knows no kernel.
set -u
folder=$1 name=${2%%|*}
if [ "$name" != "$2" ]; then
	# shellcheck disable=SC2086
	timeout --kill-after=120 3000 ${2#*|} >"$folder/$name.out" 2>&1 </dev/null
	echo $? >"$folder/$name.new"
	mv "$folder/$name.new" "$folder/$name.status"
	exit 0
fi
until [ -e "$folder/$name.status" ]; do sleep 0.5; done
cat "$folder/$name.out"
exit "$(cat "$folder/$name.status")"
