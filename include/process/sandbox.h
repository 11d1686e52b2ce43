/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up rights: user and capabilities (libcap-ng), no_new_privs, and a seccomp filter per duty
 * (libseccomp). Called once by each process after it has opened what it needs. Every failure has a reason in
 * words; the caller decides whether to continue: without what the kernel lacks (-EOPNOTSUPP), but not without
 * what there was no memory for (-ENOMEM), which an attacker may have brought about.
 */
#pragma once

#include "base/reason.h"

#include <stdbool.h>
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
	SANDBOX_PRIV,    /* what opens hardware and starts the others: all but what changes the machine */
};

enum sandbox_reach {
	SANDBOX_READS_BELOW,  /* files are read below the places, none is written; no TCP */
	SANDBOX_WRITES_BELOW, /* files are written below the places and in the folders for temporary ones */
};

#define SANDBOX_CAPABILITY(number) (UINT64_C(1) << (number)) /* a mask of a CAP_… of <linux/capability.h> */

/* Numbers of a user (name or number) and its group. 0 or -ENOENT. */
int sandbox_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid);
/*
 * The user that a daemon becomes when root has started it: `given`, or where that is NULL "wattribute" if it
 * exists, else "nobody". Returns its name; NULL: it does not exist, and ret_uid and ret_gid are unchanged.
 */
const char *sandbox_service_user(const char *given, uid_t *ret_uid, gid_t *ret_gid);
/* Whether that is "nobody", as which other programs may run, too. To be logged once by each daemon. */
bool sandbox_shares_user(const char *given);
#define SANDBOX_SHARED_USER                                                                                  \
	"running as 'nobody', whose other processes may send it signals: there is no user 'wattribute'; "    \
	"create it by "                                                                                      \
	"systemd-sysusers or: useradd --system --no-create-home --shell /usr/sbin/nologin wattribute"
/*
 * After sandbox_keep(): programs started from here on get those of `capabilities` that this process has,
 * though it is not root. 0 or a negative errno and the reason.
 */
int sandbox_pass_on(uint64_t capabilities, struct reason *why);
/*
 * Keeps this user and only `capabilities` (a mask), of which programs started from here on can have no more
 * either; sets no_new_privs. 0 or a negative errno and the reason.
 */
int sandbox_keep(uint64_t capabilities, struct reason *why);
/*
 * Becomes this user and group, without supplementary groups, keeping only `capabilities` (a mask); sets
 * no_new_privs. (uid_t)-1 keeps the user. If the process is not root, the user stays and only the
 * capabilities shrink. 0 or a negative errno and the reason.
 */
int sandbox_drop(uid_t uid, gid_t gid, uint64_t capabilities, struct reason *why);
/* The same for the service user, where root started it. */
int sandbox_become(const char *user, uint64_t capabilities, struct reason *why);
/*
 * From here on this process reaches no other files than these (Landlock); what is open stays open. `places`
 * ends with NULL. For writing, a file means its folder, and a missing path the nearest folder that exists. To
 * be called after sandbox_drop() and before sandbox_enter(). 0; -EOPNOTSUPP and the reason if the kernel
 * cannot do it; -ENOMEM and the reason. Does nothing with SANDBOX_OFF.
 */
int sandbox_confine(enum sandbox_reach reach, const char *const *places, enum sandbox_mode mode,
		    struct reason *why);
/*
 * From here on allows only the system calls of the profile. 0; -EOPNOTSUPP and the reason if the kernel or a
 * sanitizer build cannot do it; -ENOMEM and the reason. Does nothing with SANDBOX_OFF.
 */
int sandbox_enter(enum sandbox_profile profile, enum sandbox_mode mode, struct reason *why);
/* The filters of this process that sandbox_enter has installed, here or in a parent before the fork. */
unsigned sandbox_filters(void);
/*
 * Other processes of the same user cannot read this one's memory (ptrace, /proc/PID/mem), and it leaves no
 * core file: passwords are there. Lasts until exec. Does nothing in a sanitizer build, which traces itself.
 */
void sandbox_hide_memory(void);
