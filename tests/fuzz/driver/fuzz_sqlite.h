/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite's files in targets: its locks, most of its system calls, are disabled. Within one process they never
 * block anything, so nothing else changes.
 */
#pragma once

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>

__attribute__((unused)) static int fuzz_fcntl(int fd, int command, ...)
{
	va_list list;
	struct flock *lock;

	va_start(list, command);
	lock = va_arg(list, struct flock *);
	va_end(list);
	if (command == F_GETLK)
		lock->l_type = F_UNLCK;
	return command == F_GETLK || command == F_SETLK ? 0 : fcntl(fd, command, lock);
}

/* Before the first file is opened. */
__attribute__((unused)) static void fuzz_sqlite_init(void)
{
	sqlite3_vfs *vfs;

	if (sqlite3_initialize() != SQLITE_OK)
		return;
	vfs = sqlite3_vfs_find(NULL);
	if (vfs)
		(void)vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)fuzz_fcntl);
}
