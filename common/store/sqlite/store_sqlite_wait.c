/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a SQLite file that another process has locked, and what locks say: who that process is, and
 * whether the file system has locks at all. SQLite itself calls both cases "locked", and forgets the reason.
 * Called by store_sqlite_open.c.
 */
#include "store/sqlite/store_sqlite.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WAIT_FIRST_MS 1
#define WAIT_MAX_MS   50

typedef int (*fcntl_function)(int fd, int command, ...);

/* Of this process's last lock that was not given. It has one thread that uses stores. */
static struct {
	fcntl_function real;
	int error; /* 0: it was given */
	pid_t holder;
} locks;

/* Who keeps a lock from us. */
static pid_t find_holder(int fd, const struct flock *wanted)
{
	struct flock held = *wanted;

	if (locks.real(fd, F_GETLK, &held) < 0 || held.l_type == F_UNLCK)
		return 0;
	return held.l_pid > 0 ? held.l_pid : 0;
}

static int watch_fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;
	int r, error;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	r = locks.real(fd, command, argument);
	if ((command != F_SETLK && command != F_GETLK) || ((struct flock *)argument)->l_type == F_UNLCK)
		return r;
	error = r < 0 ? errno : 0;
	if (command == F_SETLK || error)
		locks.error = error;
	if (error == EAGAIN || error == EACCES)
		locks.holder = find_holder(fd, argument);
	errno = error;
	return r;
}

void store_sqlite_watch_locks(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_syscall_ptr now;

	if (!vfs || vfs->iVersion < 3 || !vfs->xGetSystemCall || !vfs->xSetSystemCall)
		return;
	now = vfs->xGetSystemCall(vfs, "fcntl");
	if (!now || now == (sqlite3_syscall_ptr)watch_fcntl)
		return;
	locks.real = (fcntl_function)now;
	(void)vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)watch_fcntl);
}

int store_sqlite_lock_error(void)
{
	switch (locks.error) {
	case 0:
	case EAGAIN:
	case EACCES:
	case EDEADLK:
	case EINTR:
		return 0;
	default:
		return locks.error;
	}
}

void store_sqlite_lock_holder(char *ret, size_t size)
{
	char path[40], name[64] = "";
	FILE *file;

	ret[0] = '\0';
	if (locks.holder <= 0 || locks.holder == getpid())
		return;
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)locks.holder);
	file = fopen(path, "re");
	if (file && fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	if (file)
		(void)fclose(file);
	text_make_plain(name, '?');
	(void)snprintf(ret, size, name[0] ? "process %d (%s)" : "process %d", (int)locks.holder, name);
}

/* SQLite asks before it tries again: 0 ends the wait. While a file is opened, all waits have one end. */
static int wait_again(void *data, int n)
{
	struct sqlite_store *own = data;
	const uint64_t now_ns = clock_monotonic_ns();
	int ms = n < WAIT_MAX_MS ? WAIT_FIRST_MS + n : WAIT_MAX_MS;

	if (n == 0 && !own->opening)
		own->wait_until_ns = now_ns + own->timeout_ms * CLOCK_NS_PER_MS;
	if (now_ns >= own->wait_until_ns || store_sqlite_lock_error() || (own->hurry && *own->hurry))
		return 0;
	(void)sqlite3_sleep(ms);
	return 1;
}

void store_sqlite_start_waiting(struct sqlite_store *own, const struct store_options *options)
{
	own->timeout_ms = options->timeout_ms;
	own->hurry = options->hurry;
	own->opening = true;
	own->wait_until_ns = clock_monotonic_ns() + own->timeout_ms * CLOCK_NS_PER_MS;
	locks.error = 0;
	locks.holder = 0;
}

void store_sqlite_take_turns(struct sqlite_store *own)
{
	(void)sqlite3_busy_handler(own->database, wait_again, own);
}

bool store_sqlite_may_wait(const struct sqlite_store *own)
{
	return clock_monotonic_ns() < own->wait_until_ns && !store_sqlite_lock_error() &&
	       !(own->hurry && *own->hurry);
}
