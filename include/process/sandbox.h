/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up rights: user and capabilities (libcap-ng), no_new_privs, and a seccomp filter per duty
 * (libseccomp). Called once by each process after it has opened what it needs. Every failure has a reason in
 * words; the caller decides whether to continue.
 */
#pragma once

#include "base/reason.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum sandbox_mode {
	SANDBOX_OFF,
	SANDBOX_LOG,   /* forbidden calls succeed, and are written to the audit log */
	SANDBOX_ERRNO, /* forbidden calls fail with EPERM */
	SANDBOX_KILL,  /* a forbidden call ends the process */
};
/* "off", "log", "errno", "kill", NULL: choices for a configuration row. */
extern const char *const sandbox_mode_names[];

enum sandbox_profile {
	SANDBOX_COLLECT, /* event loop, reading files and given descriptors, messages; no connections, no exec
			  */
	SANDBOX_WRITE,   /* also a network client, SQLite files, threads of the database's library */
	SANDBOX_SERVER,  /* also listening */
};

#define SANDBOX_CAPABILITY(number) (UINT64_C(1) << (number)) /* a mask of a CAP_… of <linux/capability.h> */

/* Numbers of a user (name or number) and its group. 0 or -ENOENT. */
int sandbox_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid);
/*
 * Becomes this user and group, without supplementary groups, keeping only `capabilities` (a mask); sets
 * no_new_privs. (uid_t)-1 keeps the user. If the process is not root, the user stays and only the
 * capabilities shrink. 0 or a negative errno and the reason.
 */
int sandbox_drop(uid_t uid, gid_t gid, uint64_t capabilities, struct reason *why);
/*
 * From here on allows only the system calls of the profile. 0; -EOPNOTSUPP and the reason if the kernel or a
 * sanitizer build cannot do it. Does nothing with SANDBOX_OFF.
 */
int sandbox_enter(enum sandbox_profile profile, enum sandbox_mode mode, struct reason *why);
/*
 * Other processes of the same user cannot read this one's memory (ptrace, /proc/PID/mem), and it leaves no
 * core file: passwords are there. Lasts until exec. Does nothing in a sanitizer build, which traces itself.
 */
void sandbox_hide_memory(void);
