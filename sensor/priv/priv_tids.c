/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of threads: tasks of resctrl and of cgroup v1, cgroup.threads of v2.
 */
#include "priv/priv_tids.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* The lines of an open file, which is closed. */
static int read_lines(FILE *file, struct priv_tids *tids)
{
	cleanup_(cleanup_free) char *line = NULL;
	size_t size = 0;
	int r = 0;

	for (ssize_t n; r == 0 && (n = getline(&line, &size, file)) > 0;) {
		uint64_t number;

		line[n - 1] = line[n - 1] == '\n' ? '\0' : line[n - 1];
		if (strlen(line) + 1 < (size_t)n || text_parse_u64(line, &number) < 0 || number < 1 ||
		    number > INT32_MAX || tids->n >= PRIV_TIDS_MAX)
			continue;
		if (ARRAY_RESERVE(tids->items, tids->capacity, tids->n + 1))
			tids->items[tids->n++] = (pid_t)number;
		else
			r = -ENOMEM;
	}
	if (r == 0 && ferror(file))
		r = -errno;
	(void)fclose(file);
	return r;
}

int priv_tids_parse(const char *text, size_t n, struct priv_tids *tids)
{
	FILE *file = n > 0 ? fmemopen((void *)(uintptr_t)text, n, "r") : NULL;

	return file ? read_lines(file, tids) : n > 0 ? -errno : 0;
}

int priv_tids_read(int fd, struct priv_tids *tids)
{
	const int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	FILE *file = own < 0 ? NULL : fdopen(own, "r");

	if (!file && own >= 0)
		(void)close(own);
	return file ? read_lines(file, tids) : -errno;
}

static int compare(const void *a, const void *b)
{
	const pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

void priv_tids_sort(struct priv_tids *tids)
{
	if (tids->n > 1)
		qsort(tids->items, tids->n, sizeof(*tids->items), compare);
}

bool priv_tids_has(const struct priv_tids *tids, pid_t tid)
{
	return tids->n > 0 && bsearch(&tid, tids->items, tids->n, sizeof(*tids->items), compare) != NULL;
}

void priv_tids_done(struct priv_tids *tids)
{
	free(tids->items);
	*tids = (struct priv_tids){0};
}
