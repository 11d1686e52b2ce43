/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number of file descriptors that may be used. Called once at start by the sensor; independent of their
 * purpose.
 */
#include "machine/fd_budget.h"

#include "base/cleanup.h"
#include "base/folder.h"

#include <limits.h>
#include <sys/resource.h>

/* Descriptors open now; a guess if /proc is not mounted. */
static unsigned count_open(void)
{
	cleanup_(folder_close) DIR *dir = folder_open("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		return 64;
	while (readdir(dir))
		n++;
	return n;
}

unsigned fd_budget_raise(void)
{
	struct rlimit limit;
	unsigned taken = count_open() + FD_BUDGET_RESERVE;
	unsigned most;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	most = limit.rlim_cur > INT_MAX ? INT_MAX : (unsigned)limit.rlim_cur;
	return most > taken ? most - taken : 0;
}
