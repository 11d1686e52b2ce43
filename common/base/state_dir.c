/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Default of --state-dir. Called when options are settled; reads the environment and the user, creates
 * nothing.
 */
#include "base/state_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *join(const char *first, const char *second)
{
	char *joined = NULL;

	return asprintf(&joined, "%s%s", first, second) < 0 ? NULL : joined;
}

char *state_dir_default(void)
{
	const char *given = getenv("STATE_DIRECTORY"); /* systemd's StateDirectory= */
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (given && given[0])
		return strdup(given);
	if (geteuid() == 0)
		return strdup("/var/lib/wattribute");
	if (state && state[0])
		return join(state, "/wattribute");
	return join(home && home[0] ? home : "/tmp", "/.local/state/wattribute");
}
