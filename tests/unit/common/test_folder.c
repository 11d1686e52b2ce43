/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders are created with their parents, and existing ones are left unchanged.
 */
#include "base/folder.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void created_and_kept(void **state)
{
	char base[] = "/tmp/wattribute-folder-XXXXXX", path[100], command[100];
	const uid_t owner = geteuid() == 0 ? 12345 : (uid_t)-1;
	struct stat status;

	(void)state;
	assert_non_null(mkdtemp(base));
	(void)snprintf(path, sizeof(path), "%s/a//b/c", base);
	assert_int_equal(folder_make(path, 0750, owner, 54321), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0750);
	if (owner != (uid_t)-1) {
		assert_int_equal(status.st_uid, owner);
		assert_int_equal(status.st_gid, 54321);
	}
	assert_int_equal(folder_make(path, 0700, geteuid(), getegid()), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0750);
	(void)snprintf(path, sizeof(path), "%s/a/b", base);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, geteuid());
	(void)snprintf(path, sizeof(path), "%s/x/y.db", base);
	assert_int_equal(folder_make_above(path), 0);
	(void)snprintf(path, sizeof(path), "%s/x", base);
	assert_int_equal(rmdir(path), 0); /* empty */
	(void)snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
}

static void impossible_ones(void **state)
{
	char path[PATH_MAX + 10];

	(void)state;
	assert_int_equal(folder_make_above(""), 0);
	assert_int_equal(folder_make_above("name"), 0);
	assert_int_equal(folder_make("/dev/null/a/b", 0755, (uid_t)-1, (gid_t)-1), -ENOTDIR);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(folder_make(path, 0755, (uid_t)-1, (gid_t)-1), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(created_and_kept),
		cmocka_unit_test(impossible_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
