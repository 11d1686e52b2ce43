#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every file states its licence and purpose.
. "$(dirname "$0")/lint.inc"

verdict "C files begin with the licence" "$(awk '
	FNR == 1 && FILENAME ~ /^(sensor\/(source\/bpf\/|priv\/count\.h)|tests\/kernel\/power\/)/ && /^\/\* SPDX-License-Identifier: / { next } # the kernel asks for its own
	FNR == 1 && $0 != "/* SPDX-License-Identifier: Apache-2.0 */" { print FILENAME }' $(c_files) $(test_files))"
verdict "followed by a comment on the purpose of the file" "$(awk 'FNR == 2 && !/^\/\*/ { print FILENAME }' \
	$(c_files) $(test_files))"
verdict "scripts have the licence" "$(for file in $(scripts_for sh) $(scripts_for bash) $(scripts_for python3); do
	head -n 4 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file"
done)"
