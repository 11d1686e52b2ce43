#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The BPF program, as compiled by each installed clang from 14 on: no instruction that Linux 5.10 does not
# know, no more than half of the stack. Loads nothing; tests/kernel uses the kernels' own verifiers.
. "$(dirname "$0")/lint.inc"
build=${BUILD:-build}
log=$build/bpf-instructions.log
mkdir -p "$build"
made=$(make -s BUILD="$build" bpf-objects "$build/tests/kernel/count_instructions" 2>&1) ||
	verdict "every installed clang compiles the program" "$made"
"$build/tests/kernel/count_instructions" "$build"/kernel/objects/*.o >"$log" 2>&1
verdict "no instruction newer than Linux 5.10" "$(grep -E ' instruction [0-9]+: |no BPF object' "$log"; [ -s "$log" ] || echo 'nothing was compiled')"
verdict "at most 256 of 512 bytes of stack" "$(awk 'NF == 5 && $5 > 256' "$log")"
verdict "at most 8,192 instructions in a program" "$(awk 'NF == 5 && $3 > 8192' "$log")"
awk 'NF == 5 { n = split($1, part, "/"); printf "# %s %s: %d instructions, %d newer than 5.10, %d bytes of stack\n", part[n], $2, $3, $4, $5 }' "$log"
# Test of the check: an atomic OR is found.
printf '#include <linux/types.h>\n__attribute__((section("raw_tp/x"), used)) int x(__u64 *at) { __sync_fetch_and_or(at, 4); return 0; }\n' >"$build/newer.c"
clang -O2 -target bpf -mcpu=v3 $(make -s BUILD="$build" print-BPF_FLAGS | grep -o -- '-idirafter [^ ]*') -c -o "$build/newer.o" "$build/newer.c" 2>/dev/null
verdict "an atomic OR would be found" "$("$build/tests/kernel/count_instructions" "$build/newer.o" 2>&1 | grep -q 'atomic operation' || echo 'it is not')"
