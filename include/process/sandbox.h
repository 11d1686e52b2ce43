/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drops privileges: user and capabilities (libcap-ng), no_new_privs, and a seccomp filter per duty
 * (libseccomp). Called once by each process after it has opened what it needs. Every failure has a reason as
 * text. sandbox_restrict() decides which failures end the process.
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
	SANDBOX_COLLECT, /* event loop, reading files and given descriptors; no connections or exec */
	SANDBOX_WRITE,   /* also a network client, SQLite files, threads of the database's library */
	SANDBOX_SERVER,  /* also listening */
	SANDBOX_PRIV,    /* opens hardware and starts the others: all except changes of the machine */
};

enum sandbox_reach {
	SANDBOX_READS_BELOW,  /* files below the places can be read, none can be written; no TCP */
	SANDBOX_WRITES_BELOW, /* files can be written below the places and in temporary folders */
};

#define SANDBOX_CAPABILITY(number) (UINT64_C(1) << (number)) /* a mask of a CAP_… of <linux/capability.h> */

/* Numbers of a user (name or number) and its group. 0 or -ENOENT. */
int sandbox_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid);
/*
 * The user that a daemon becomes when started by root: `given`, or if that is NULL "wattribute" if it exists,
 * else "nobody". Returns its name; NULL: it does not exist, and ret_uid and ret_gid are unchanged.
 */
const char *sandbox_service_user(const char *given, uid_t *ret_uid, gid_t *ret_gid);
/* Is that user "nobody", which other programs may use, too? To be logged once by each daemon. */
bool sandbox_shares_user(const char *given);
#define SANDBOX_SHARED_USER                                                                                  \
	"running as 'nobody', whose other processes may send it signals: there is no user 'wattribute'; "    \
	"create it with systemd-sysusers or: useradd --system --no-create-home --shell /usr/sbin/nologin "   \
	"wattribute"
/*
 * After sandbox_keep(): programs started from here on inherit those of `capabilities` that this process has,
 * although it is not root. 0 or a negative errno and the reason.
 */
int sandbox_pass_on(uint64_t capabilities, struct reason *why);
/*
 * Keeps this user and only `capabilities` (a mask), which also limit programs started from here on; sets
 * no_new_privs. 0 or a negative errno and the reason.
 */
int sandbox_keep(uint64_t capabilities, struct reason *why);
/*
 * Becomes this user and group, without supplementary groups, keeping only `capabilities` (a mask); sets
 * no_new_privs. (uid_t)-1 keeps the user. If the process is not root, the user stays and only the
 * capabilities shrink. 0 or a negative errno and the reason.
 */
int sandbox_drop(uid_t uid, gid_t gid, uint64_t capabilities, struct reason *why);
/* The same for the service user, if started by root. */
int sandbox_become(const char *user, uint64_t capabilities, struct reason *why);
/*
 * From here on this process can access only these files (Landlock); open files stay open. `places` ends with
 * NULL. For writing, a file stands for its folder, and a missing path for the nearest existing folder. To be
 * called after sandbox_drop() and before sandbox_enter(). 0; -EOPNOTSUPP and the reason if the kernel cannot
 * do it; another negative errno and the reason. Does nothing with SANDBOX_OFF.
 */
int sandbox_confine(enum sandbox_reach reach, const char *const *places, enum sandbox_mode mode,
		    struct reason *why);
/*
 * From here on allows only the system calls of the profile. 0; -EOPNOTSUPP and the reason if the kernel or a
 * sanitizer build cannot do it; another negative errno and the reason. Does nothing with SANDBOX_OFF.
 */
int sandbox_enter(enum sandbox_profile profile, enum sandbox_mode mode, struct reason *why);

struct sandbox_limits {
	enum sandbox_mode mode;
	enum sandbox_profile profile;
	enum sandbox_reach reach;
	const char *const *places; /* as for sandbox_confine(); NULL: files are not restricted */
	bool (*missing)(void *data, const char *sentence); /* log_each_notice() or the like */
	void *data;                                        /* for it: the token of the log lines */
};

/*
 * sandbox_confine() and sandbox_enter(). If the kernel (or a sanitizer build) lacks one of them, `missing` is
 * called, and the process continues without it. After any other failure the process must end: an attacker may
 * have caused it, for instance by using up the memory. 0 or a negative errno and the reason.
 */
int sandbox_restrict(const struct sandbox_limits *limits, struct reason *why);
/* Number of filters that sandbox_enter() has installed, in this process or in a parent before the fork. */
unsigned sandbox_filters(void);
/*
 * Other processes of the same user cannot read this one's memory (ptrace, /proc/PID/mem), and it leaves no
 * core file: passwords are there. Lasts until exec. Does nothing in a sanitizer build, which traces itself.
 */
void sandbox_hide_memory(void);
