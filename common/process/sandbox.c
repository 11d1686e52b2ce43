/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drops root's user and capabilities. Called once by each process of a daemon, after it has opened what it
 * needs and before it reads untrusted bytes. The seccomp filters are in sandbox_seccomp.c.
 */
#include "process/sandbox.h"
#include "base/cleanup.h"
#include "base/reason.h"
#include "base/text.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define KEEP_USER ((uid_t)-1)

#define NOBODY 65534 /* kernel.overflowuid */

int sandbox_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid)
{
	uint64_t number;
	const struct passwd *entry;

	if (text_parse_u64(user, &number) == 0) {
		if (number >= UINT32_MAX)
			return -ENOENT;
		entry = getpwuid((uid_t)number);
		*ret_uid = (uid_t)number;
		*ret_gid = entry ? entry->pw_gid : (gid_t)number;
		return 0;
	}
	entry = getpwnam(user);
	if (!entry && strcmp(user, "nobody") == 0) {
		/* A small system may have no entry for it; the kernel defines the number. */
		*ret_uid = NOBODY;
		*ret_gid = NOBODY;
		return 0;
	}
	if (!entry)
		return -ENOENT;
	*ret_uid = entry->pw_uid;
	*ret_gid = entry->pw_gid;
	return 0;
}

const char *sandbox_service_user(const char *given, uid_t *ret_uid, gid_t *ret_gid)
{
	static const char *const usual[] = {"wattribute", "nobody"};

	if (given)
		return sandbox_find_user(given, ret_uid, ret_gid) == 0 ? given : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		if (sandbox_find_user(usual[i], ret_uid, ret_gid) == 0)
			return usual[i];
	}
	return NULL;
}

bool sandbox_shares_user(const char *given)
{
	uid_t uid;
	gid_t gid;
	const char *user = sandbox_service_user(given, &uid, &gid);

	return !given && user && strcmp(user, "nobody") == 0;
}

void sandbox_hide_memory(void)
{
#ifndef WATTRIBUTE_SANITIZED
	const struct rlimit none = {0, 0};

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
#endif
}

/* Plans to keep those of `capabilities` that this process has. */
static void plan_capabilities(uint64_t capabilities)
{
	const bool known = capng_get_caps_process() == 0; /* else nothing is kept */
	uint64_t kept = 0;

	for (unsigned number = 0; number < 64; number++) {
		if (known && (capabilities & SANDBOX_CAPABILITY(number)) &&
		    capng_have_capability(CAPNG_PERMITTED, number))
			kept |= SANDBOX_CAPABILITY(number);
	}
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned number = 0; number < 64; number++) {
		if (kept & SANDBOX_CAPABILITY(number))
			(void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, number);
	}
}

static int apply(uid_t uid, gid_t gid, struct reason *why)
{
	if (geteuid() == 0 && uid != KEEP_USER && uid != 0) {
		int r = capng_change_id((int)uid, (int)gid, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
		if (r != 0)
			return reason_set(why, -EPERM,
					  "cannot become user %u group %u (libcap-ng returned %d); "
					  "CAP_SETUID, CAP_SETGID and CAP_SETPCAP are needed",
					  (unsigned)uid, (unsigned)gid, r);
		return 0;
	}
	/*
	 * Emptying the bounding set needs a capability that an ordinary user neither has nor needs to give
	 * up.
	 */
	if (capng_apply(geteuid() == 0 ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) != 0)
		return reason_set(why, -EPERM, "cannot drop capabilities; is CAP_SETPCAP missing?");
	return 0;
}

int sandbox_drop(uid_t uid, gid_t gid, uint64_t capabilities, struct reason *why)
{
	int death_signal = 0;

	reason_clear(why);
	(void)prctl(PR_GET_PDEATHSIG, &death_signal);
	plan_capabilities(capabilities);
	int r = apply(uid, gid, why);
	/* The kernel clears the parent-death signal when credentials change. */
	if (death_signal)
		(void)prctl(PR_SET_PDEATHSIG, death_signal);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return reason_set(why, -errno, "cannot set no_new_privs: %s", strerror(errno));
	return 0;
}

int sandbox_become(const char *user, uint64_t capabilities, struct reason *why)
{
	uid_t uid = KEEP_USER;
	gid_t gid = (gid_t)-1;

	if (geteuid() == 0 && !sandbox_service_user(user, &uid, &gid))
		return reason_set(why, -ENOENT, "user '%s' does not exist; choose another with --user",
				  user ? user : "nobody");
	return sandbox_drop(uid, gid, capabilities, why);
}

/* The rule of sandbox_restrict(); `consequence` of a missing feature. */
static int judge(const struct sandbox_limits *limits, int r, const char *consequence, struct reason *why)
{
	struct reason sentence;

	if (r == -EOPNOTSUPP) {
		reason_set(&sentence, 0, "%s: %s", consequence, why->text);
		(void)limits->missing(limits->data, sentence.text);
		return 0;
	}
	if (r < 0) {
		sentence = *why;
		reason_set(why, 0, "%s; the process ends, because it would not be restricted", sentence.text);
	}
	return r;
}

int sandbox_restrict(const struct sandbox_limits *limits, struct reason *why)
{
	int r = 0;

	if (limits->places)
		r = judge(limits, sandbox_confine(limits->reach, limits->places, limits->mode, why),
			  "all files that the user may access remain accessible", why);
	if (r == 0)
		r = judge(limits, sandbox_enter(limits->profile, limits->mode, why),
			  "continuing without a seccomp filter", why);
	return r;
}

int sandbox_pass_on(uint64_t capabilities, struct reason *why)
{
	reason_clear(why);
	if (capng_get_caps_process() != 0)
		return reason_set(why, -EPERM, "the capabilities of this process are unknown");
	for (unsigned number = 0; number < 64; number++) {
		if ((capabilities & SANDBOX_CAPABILITY(number)) &&
		    capng_have_capability(CAPNG_PERMITTED, number))
			(void)capng_update(CAPNG_ADD, CAPNG_INHERITABLE | CAPNG_AMBIENT, number);
	}
	if (capng_apply(CAPNG_SELECT_CAPS) != 0 || capng_apply(CAPNG_SELECT_AMBIENT) != 0)
		return reason_set(why, -EPERM, "cannot pass on capabilities");
	return 0;
}

int sandbox_keep(uint64_t capabilities, struct reason *why)
{
	reason_clear(why);
	plan_capabilities(capabilities);
	/* The bounding set stays: a child started as root takes its capabilities from it, within these. */
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return reason_set(why, -EPERM, "cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return reason_set(why, -errno, "cannot set no_new_privs: %s", strerror(errno));
	return 0;
}
