/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of threads: tasks of resctrl and of cgroup v1, cgroup.threads of v2. A number may lie across two
 * reads.
 */
#include "priv/priv_tids.h"

#include "base/array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* A line under way, from read to read. */
struct line {
	int64_t number; /* -1: it is no number */
	bool any;
};

static int end_line(struct line *line, struct priv_tids *tids)
{
	const int64_t number = line->any ? line->number : -1;

	*line = (struct line){0};
	if (number < 1 || tids->n >= PRIV_TIDS_MAX)
		return 0;
	if (!ARRAY_RESERVE(tids->items, tids->capacity, tids->n + 1))
		return -ENOMEM;
	tids->items[tids->n++] = (pid_t)number;
	return 0;
}

static int take(struct line *line, const char *text, size_t n, struct priv_tids *tids)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (text[i] == '\n') {
			r = end_line(line, tids);
			continue;
		}
		line->any = true;
		if (line->number >= 0 && text[i] >= '0' && text[i] <= '9')
			line->number = line->number * 10 + (text[i] - '0');
		else
			line->number = -1;
		if (line->number > INT32_MAX)
			line->number = -1;
	}
	return r;
}

int priv_tids_parse(const char *text, size_t n, struct priv_tids *tids)
{
	struct line line = {0};
	int r = take(&line, text, n, tids);

	return r < 0 ? r : end_line(&line, tids);
}

int priv_tids_read(int fd, struct priv_tids *tids)
{
	char buffer[8192];
	struct line line = {0};
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR)) {
		const int r = n > 0 ? take(&line, buffer, (size_t)n, tids) : 0;

		if (r < 0)
			return r;
	}
	return n < 0 ? -errno : end_line(&line, tids);
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
