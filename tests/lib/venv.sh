# SPDX-License-Identifier: Apache-2.0
# Python environments for tests, to be sourced after tap.sh; made once in $WATTRIBUTE_CACHE and reused.
#
#   venv_python NAME PACKAGE==VERSION...   prints the path of the environment's python; 1 with the reason in $venv_why
#   need_venv NAME PACKAGE==VERSION...     the same in $PYTHON, or skips the whole script

CACHE=${WATTRIBUTE_CACHE:-$HOME/.cache/wattribute}
venv_why=

# The packages are part of the name: each version has its own environment.
venv_place() {
	venv_sum=$(printf '%s\n' "$@" | cksum | cut -d' ' -f1)
	echo "$CACHE/venv-$1-$venv_sum"
}

venv_make() {
	venv_path=$(venv_place "$@")
	shift
	[ -e "$venv_path/done" ] && return 0
	if ! command -v python3 >/dev/null; then
		venv_why="needs python3 with venv and pip"
		return 1
	fi
	mkdir -p "$CACHE"
	(
		flock 9
		[ -e "$venv_path/done" ] && exit 0
		rm -rf "$venv_path"
		{ python3 -m venv "$venv_path" && "$venv_path/bin/pip" install -q "$@"; } >"$venv_path.log" 2>&1 &&
			touch "$venv_path/done"
	) 9>"$venv_path.lock" && return 0
	venv_why="pip could not install $*: $(tail -n 1 "$venv_path.log")"
	return 1
}

venv_python() {
	venv_make "$@" || return 1
	echo "$venv_path/bin/python"
}

need_venv() {
	venv_make "$@" || skip_all "$venv_why"
	PYTHON=$venv_path/bin/python
}
