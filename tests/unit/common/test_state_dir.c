/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default location of the state: systemd's folder first, then root's, then the user's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/folder.h"

#include <stdlib.h>
#include <unistd.h>

static void systemd_wins(void **state)
{
	char *folder;

	(void)state;
	assert_int_equal(setenv("STATE_DIRECTORY", "/run/given", 1), 0);
	folder = folder_state_default();
	assert_string_equal(folder, "/run/given");
	free(folder);
	assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

static void user_has_a_folder(void **state)
{
	char *folder;

	(void)state;
	assert_int_equal(setenv("HOME", "/home/someone", 1), 0);
	assert_int_equal(unsetenv("XDG_STATE_HOME"), 0);
	folder = folder_state_default();
	assert_string_equal(folder,
			    geteuid() == 0 ? "/var/lib/wattribute" : "/home/someone/.local/state/wattribute");
	free(folder);
	assert_int_equal(setenv("XDG_STATE_HOME", "/home/someone/state", 1), 0);
	folder = folder_state_default();
	assert_string_equal(folder,
			    geteuid() == 0 ? "/var/lib/wattribute" : "/home/someone/state/wattribute");
	free(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(systemd_wins),
		cmocka_unit_test(user_has_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
