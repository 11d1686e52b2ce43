/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explains why the kernel rejects the BPF program, with a fix: missing capabilities, lockdown, seccomp, no
 * BTF, an old kernel, or the verifier's last line. Facts are read from /proc and /sys; the verdict is pure.
 * Called by priv_bpf.c.
 */
#pragma once

#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The oldest kernel that the tests run on. */
#define BPF_CAUSE_KERNEL_MIN "5.10"

struct bpf_facts {
	char release[66];      /* of the kernel; "": unknown */
	char lockdown[24];     /* none, integrity, confidentiality; "": unknown */
	uint64_t capabilities; /* effective */
	int unprivileged_bpf;  /* kernel.unprivileged_bpf_disabled; -1: unknown */
	int seccomp;           /* foreign filters on this process; -1: unknown */
	uint64_t memlock;      /* bytes that may be locked; UINT64_MAX: unlimited */
	bool btf;
};

/*
 * Facts that cannot be read are unknown, which is not an error. The roots are "/proc" and "/sys" except in
 * tests.
 */
void bpf_cause_read(const char *procfs_root, const char *sysfs_root, struct bpf_facts *ret_facts);

/*
 * error: from loading or attaching. verifier: its log, or "". words: libbpf's message, used if nothing else
 * explains the failure. Returns `error`.
 */
int bpf_cause_set(const struct bpf_facts *facts, int error, const char *verifier, const char *words,
		  struct reason *cause);

/* The last line of a verifier's log that describes the error, without the statistics after it. */
void bpf_cause_last_line(const char *log, char *ret, size_t size);
