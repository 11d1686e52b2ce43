/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restricts the files that a process can reach, with Landlock by raw system calls: the C libraries of
 * supported systems have no wrappers, and their headers may be older than the kernel. Rights unknown to the
 * kernel are left out.
 */
#include "process/sandbox.h"

#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The same numbers on every architecture. */
#define CALL_CREATE_RULESET 444
#define CALL_ADD_RULE       445
#define CALL_RESTRICT_SELF  446
#define CREATE_VERSION      1u
#define RULE_PATH_BENEATH   1

#define FILE_EXECUTE  (UINT64_C(1) << 0)
#define FILE_WRITE    (UINT64_C(1) << 1)
#define FILE_READ     (UINT64_C(1) << 2)
#define FOLDER_READ   (UINT64_C(1) << 3)
#define FOLDER_CHANGE (UINT64_C(0x1ff) << 4) /* creates and removes names of any type */
#define FILE_REFER    (UINT64_C(1) << 13)    /* renames into another folder; since Linux 5.19 */
#define FILE_TRUNCATE (UINT64_C(1) << 14)    /* since Linux 6.2 */
#define TCP_ANY       (UINT64_C(3))          /* bind and connect; since Linux 6.7 */
#define ABI_REFER     2
#define ABI_TRUNCATE  3
#define ABI_TCP       4

struct ruleset {
	uint64_t files, network;
};

struct beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

/* Folders for libraries' temporary files: SQLite's large sorts, the database driver's counters. */
static const char *const temporary[] = {"/tmp", "/var/tmp", "/dev/shm", NULL};

static uint64_t writing(long abi)
{
	return FILE_WRITE | FOLDER_CHANGE | (abi >= ABI_REFER ? FILE_REFER : 0) |
	       (abi >= ABI_TRUNCATE ? FILE_TRUNCATE : 0);
}

/* The folder of a file; if it does not exist yet, the nearest existing one. -1: none. */
static int open_folder(const char *place)
{
	char path[PATH_MAX];
	struct stat status;
	char *slash;
	int fd;

	if (snprintf(path, sizeof(path), "%s%s", place[0] == '/' ? "" : "./", place) >= (int)sizeof(path))
		return -1;
	for (;;) {
		fd = open(path, O_PATH | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
			return fd;
		if (fd >= 0)
			(void)close(fd);
		slash = strrchr(path, '/');
		if (!slash || strcmp(path, "/") == 0)
			return -1;
		/* "/a" becomes "/", and "a/" becomes "a". */
		slash[slash == path] = '\0';
	}
}

/* A place that does not exist or is not visible cannot be used either: it needs no rule. */
static int allow(int ruleset, int fd, uint64_t access)
{
	struct beneath rule = {.allowed = access, .parent = fd};
	struct stat status;
	int r = 0;

	if (fd < 0)
		return 0;
	if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode))
		rule.allowed &= FILE_READ | FILE_WRITE | FILE_TRUNCATE;
	if (syscall(CALL_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

static int add_rules(int ruleset, enum sandbox_reach reach, const char *const *places, long abi)
{
	const char *own = getenv("TMPDIR");
	const uint64_t access = reach == SANDBOX_READS_BELOW ? FILE_READ | FOLDER_READ : writing(abi);
	int r = 0;

	for (size_t i = 0; r == 0 && places && places[i]; i++) {
		if (places[i][0])
			r = allow(ruleset,
				  reach == SANDBOX_READS_BELOW ? open(places[i], O_PATH | O_CLOEXEC)
							       : open_folder(places[i]),
				  access);
	}
	if (reach != SANDBOX_WRITES_BELOW)
		return r;
	for (size_t i = 0; r == 0 && temporary[i]; i++)
		r = allow(ruleset, open(temporary[i], O_PATH | O_CLOEXEC), access);
	if (r == 0 && own && own[0])
		r = allow(ruleset, open(own, O_PATH | O_CLOEXEC), access);
	return r;
}

static int confine(enum sandbox_reach reach, const char *const *places, long abi)
{
	struct ruleset handled = {.files = writing(abi)};
	int fd, r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (reach == SANDBOX_READS_BELOW) {
		handled.files |= FILE_READ | FOLDER_READ | FILE_EXECUTE;
		handled.network = abi >= ABI_TCP ? TCP_ANY : 0;
	}
	fd = (int)syscall(CALL_CREATE_RULESET, &handled,
			  abi >= ABI_TCP ? sizeof(handled) : sizeof(handled.files), 0);
	if (fd < 0)
		return -errno;
	r = add_rules(fd, reach, places, abi);
	if (r == 0 && syscall(CALL_RESTRICT_SELF, fd, 0) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

int sandbox_confine(enum sandbox_reach reach, const char *const *places, enum sandbox_mode mode,
		    struct reason *why)
{
	const long abi = syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_VERSION);
	int r;

	reason_clear(why);
	if (mode == SANDBOX_OFF)
		return 0;
	if (abi < 0)
		return reason_set(why, -EOPNOTSUPP, "%s",
				  errno == EOPNOTSUPP ? "Landlock is disabled (kernel parameter lsm=)"
				  : errno == EPERM
					  ? "a seccomp filter blocks Landlock (the container's or the unit's)"
					  : "this kernel has no Landlock (it needs Linux 5.13 or newer)");
	r = confine(reach, places, abi);
	/* E2BIG: a process has at most 16 rulesets, those of containers around it included. */
	if (r == -E2BIG || r == -EPERM)
		return reason_set(why, -EOPNOTSUPP, "Landlock refuses: %s", strerror(-r));
	if (r < 0)
		return reason_set(why, r, "cannot restrict the access to files with Landlock: %s",
				  strerror(-r));
	return 0;
}
