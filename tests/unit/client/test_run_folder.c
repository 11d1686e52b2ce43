/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private folder of `wattribute run`: that of a killed owner is removed by the next one, that of a living
 * owner and foreign ones are not.
 */
#include "run/run_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char parent[] = "/tmp/test-run-folder.XXXXXX";

static void put(const char *folder, const char *name)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void a_dead_ones_folder_is_removed(void **state)
{
	struct run_folder dead, mine, other;
	char below[128];
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		if (run_folder_make(parent, &dead) < 0 || write(ends[1], &dead, sizeof(dead)) < 0)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ends[0], &dead, sizeof(dead)), sizeof(dead));
	put(dead.path, "run.db");
	(void)snprintf(below, sizeof(below), "%s/below", dead.path);
	assert_int_equal(mkdir(below, 0700), 0);
	put(below, "file");

	assert_int_equal(run_folder_make(parent, &other), 0);
	assert_int_equal(access(dead.path, F_OK), 0);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(run_folder_make(parent, &mine), 0);
	assert_int_equal(access(dead.path, F_OK), -1);
	assert_int_equal(access(other.path, F_OK), 0);
	run_folder_remove(&mine);
	run_folder_remove(&other);
	assert_string_equal(other.path, "");
	run_folder_remove(&other);
}

static void foreign_ones_stay(void **state)
{
	struct run_folder mine;
	char path[128], kept[128];

	(void)state;
	(void)snprintf(kept, sizeof(kept), "%s/kept", parent);
	assert_int_equal(mkdir(kept, 0700), 0);
	put(kept, "owner");
	(void)snprintf(path, sizeof(path), "%s/wattribute-run.linked", parent);
	assert_int_equal(symlink(kept, path), 0);
	(void)snprintf(path, sizeof(path), "%s/wattribute-run.older", parent);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(run_folder_make(parent, &mine), 0);
	assert_int_equal(access(path, F_OK), 0);
	(void)strcat(kept, "/owner");
	assert_int_equal(access(kept, F_OK), 0);
	/* Links in a folder are removed, but not followed. */
	(void)snprintf(path, sizeof(path), "%s/link", mine.path);
	kept[strlen(kept) - strlen("/owner")] = '\0';
	assert_int_equal(symlink(kept, path), 0);
	run_folder_remove(&mine);
	(void)strcat(kept, "/owner");
	assert_int_equal(access(kept, F_OK), 0);
	assert_true(run_folder_make("/nonexistent", &mine) < 0);
	assert_string_equal(mine.path, "");
}

static int clean_up(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", parent);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_ones_folder_is_removed),
		cmocka_unit_test(foreign_ones_stay),
	};

	if (!mkdtemp(parent))
		return 1;
	return cmocka_run_group_tests(tests, NULL, clean_up);
}
