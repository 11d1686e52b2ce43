/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The location of a SQLite file: explains why SQLite cannot work there; opens archived files where nothing
 * may be written or locked; waits for a file that another process has locked, and finds out from the locks
 * which process that is, and whether the file system has locks at all. SQLite itself reports both cases as
 * "locked", without the reason. Called by store_sqlite_open.c.
 */
#include "store/sqlite/store_sqlite.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_SIZE     1100
#define WAIT_FIRST_MS 1
#define WAIT_MAX_MS   50

typedef int (*fcntl_function)(int fd, int command, ...);

/* This process's last refused lock. Only one of its threads uses stores. */
static struct {
	fcntl_function real;
	int error; /* 0: it was granted */
	pid_t holder;
} locks;

/* The process that holds a lock that we want. */
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

/* The errno for which the file system grants no locks at all; 0: it has locks. */
static int lock_error(void)
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
	char name[64] = "";

	ret[0] = '\0';
	if (locks.holder <= 0 || locks.holder == getpid())
		return;
	if (text_read_file(name, sizeof(name), "/proc/%d/comm", (int)locks.holder) < 0)
		name[0] = '\0';
	text_make_plain(name, '?');
	(void)snprintf(ret, size, name[0] ? "process %d (%s)" : "process %d", (int)locks.holder, name);
}

/* SQLite asks before each retry: 0 ends the wait. While a file is opened, all waits share one deadline. */
static int wait_again(void *data, int n)
{
	struct sqlite_store *own = data;
	const uint64_t now_ns = clock_monotonic_ns();
	int ms = n < WAIT_MAX_MS ? WAIT_FIRST_MS + n : WAIT_MAX_MS;

	if (n == 0 && !own->opening)
		own->wait_until_ns = now_ns + own->timeout_ms * CLOCK_NS_PER_MS;
	if (now_ns >= own->wait_until_ns || lock_error() || (own->hurry && *own->hurry))
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
	return clock_monotonic_ns() < own->wait_until_ns && !lock_error() && !(own->hurry && *own->hurry);
}

static bool is_read_only(const char *folder)
{
	struct statvfs status;

	return statvfs(folder, &status) == 0 && (status.f_flag & ST_RDONLY);
}

/* Finds an existing file next to the database that this user may not use. */
static bool find_closed_file(const char *path, int rights, char *ret, size_t size)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		(void)snprintf(ret, size, "%s%s", path, suffixes[i]);
		if (access(ret, F_OK) == 0 && access(ret, rights) < 0)
			return true;
	}
	return false;
}

/* True if an interrupted writer has left changes that must be undone before the file is read. */
static bool has_journal(const char *path)
{
	char journal[PATH_SIZE];
	struct stat status;

	(void)snprintf(journal, sizeof(journal), "%s-journal", path);
	return stat(journal, &status) == 0 && status.st_size > 0;
}

/* Does the file system lack only shared memory? Then a rollback journal works. */
static bool lacks_memory(int extended)
{
	return extended == SQLITE_IOERR_SHMOPEN || extended == SQLITE_IOERR_SHMSIZE ||
	       extended == SQLITE_IOERR_SHMMAP;
}

bool store_sqlite_shares_memory(const char *path)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	void *(*map)(void *at, size_t length, int protection, int flags, int fd, off_t offset) = NULL;
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	void *page;

	if (fd < 0)
		return true;
	/* With the same call that SQLite uses. */
	if (vfs && vfs->iVersion >= 3 && vfs->xGetSystemCall)
		map = (void *(*)(void *, size_t, int, int, int, off_t))vfs->xGetSystemCall(vfs, "mmap");
	page = (map ? map : mmap)(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		(void)munmap(page, 1);
	(void)close(fd);
	return page != MAP_FAILED;
}

bool store_sqlite_is_file_system(int extended)
{
	switch (extended & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_PERM:
		return lock_error() != 0;
	case SQLITE_PROTOCOL:
		return true;
	case SQLITE_IOERR:
		return extended == SQLITE_IOERR_LOCK || extended == SQLITE_IOERR_RDLOCK ||
		       extended == SQLITE_IOERR_UNLOCK || extended == SQLITE_IOERR_CHECKRESERVEDLOCK ||
		       extended == SQLITE_IOERR_SHMLOCK || lacks_memory(extended);
	default:
		return false;
	}
}

bool store_sqlite_is_place(int extended)
{
	if (store_sqlite_is_file_system(extended))
		return true;
	switch (extended & 0xff) {
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return true;
	default:
		return false;
	}
}

void store_sqlite_explain_file_system(int extended, char *ret, size_t size)
{
	const int error = lock_error();

	if (lacks_memory(extended))
		(void)snprintf(ret, size,
			       "its file system offers no shared memory, like some network and shared "
			       "folders: put the store into a folder on a local disk, or give it a "
			       "rollback journal: sqlite3 FILE 'PRAGMA locking_mode = EXCLUSIVE; PRAGMA "
			       "journal_mode = DELETE'");
	else
		(void)snprintf(
			ret, size,
			"its file system offers no file locks%s%s%s, like some network and shared "
			"folders: put the store into a folder on a local disk, or mount this one with "
			"locks; reading (export, --once --input) works here too, while no process writes",
			error ? " (" : "", error ? strerror(error) : "", error ? ")" : "");
}

void store_sqlite_explain_place(const char *path, bool writes, char *ret, size_t size)
{
	char folder[PATH_SIZE], closed[PATH_SIZE];
	char *slash;

	(void)snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	else
		(void)snprintf(folder, sizeof(folder), ".");
	ret[0] = '\0';
	if (store_path_is_directory(path))
		(void)snprintf(ret, size, "; it is a directory: name a file in it");
	else if (access(folder, F_OK) < 0)
		(void)snprintf(ret, size, "; the folder '%s' cannot be reached: %s", folder, strerror(errno));
	else if (has_journal(path))
		(void)snprintf(ret, size,
			       "; its writer was interrupted, and the changes in '%s-journal' must be undone "
			       "first: copy both files to a folder that you may write to",
			       path);
	else if (is_read_only(folder))
		(void)snprintf(
			ret, size,
			"; its file system is mounted read-only: remount it, or write to another place");
	else if (find_closed_file(path, R_OK, closed, sizeof(closed)))
		(void)snprintf(ret, size, "; this user may not read '%s'", closed);
	else if (access(path, F_OK) < 0 && errno == ENOENT && access(folder, W_OK) == 0)
		(void)snprintf(ret, size, "%s",
			       writes ? "; no file can be created there: choose another folder"
				      : "; there is no such file: check the path and whether the sensor has "
					"created it yet");
	else if (find_closed_file(path, W_OK, closed, sizeof(closed)))
		(void)snprintf(ret, size, "; this user may not write to '%s'", closed);
	else if (access(folder, W_OK | X_OK) < 0)
		(void)snprintf(
			ret, size,
			"; this user may not write into the folder '%s', where SQLite keeps files next to it",
			folder);
}

/* The path as a URI for SQLite. */
static void make_uri(const char *path, char *ret, size_t size)
{
	size_t length = (size_t)snprintf(ret, size, "file:");

	for (; *path && length + 4 < size; path++)
		length += (size_t)snprintf(ret + length, size - length,
					   strchr("%?#", *path) ? "%%%02X" : "%c", (unsigned char)*path);
	(void)snprintf(ret + length, size - length, "?immutable=1");
}

/*
 * Creates no file and takes no lock, which is right only if nobody writes, as in an archive. If there is a
 * log next to the file, its content is read, too, with an index in memory.
 */
int store_sqlite_open_archive(const char *path, sqlite3 **ret_database)
{
	char log[PATH_SIZE], uri[3 * PATH_SIZE];
	const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
	int code;

	if (has_journal(path))
		return SQLITE_READONLY;
	(void)snprintf(log, sizeof(log), "%s-wal", path);
	make_uri(path, uri, sizeof(uri));
	if (access(log, F_OK) == 0)
		code = sqlite3_open_v2(path, ret_database, flags, "unix-none");
	else
		code = sqlite3_open_v2(uri, ret_database, flags | SQLITE_OPEN_URI, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(*ret_database,
				    "PRAGMA locking_mode = EXCLUSIVE; SELECT 1 FROM sqlite_master LIMIT 1",
				    NULL, NULL, NULL);
	return code;
}
