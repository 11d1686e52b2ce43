/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup's CPU time from the kernel's files. Pure; called by source_cpustat.c for each cgroup and tick, so
 * nothing here allocates or copies.
 */
#include "machine/cputime.h"

#include <errno.h>
#include <string.h>

/* Digits at *at; moves after them. 0, or -EBADMSG when there are none or too many. */
static int parse_number(const char **at, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *start = *at;

	for (; **at >= '0' && **at <= '9'; (*at)++) {
		if (value > (UINT64_MAX - 9) / 10)
			return -EBADMSG;
		value = value * 10 + (uint64_t)(**at - '0');
	}
	*ret_value = value;
	return *at == start ? -EBADMSG : 0;
}

int cputime_parse_stat(const char *text, uint64_t *ret_ns)
{
	static const char key[] = "usage_usec ";
	uint64_t usec;

	while (strncmp(text, key, sizeof(key) - 1) != 0) {
		text = strchr(text, '\n');
		if (!text)
			return -EBADMSG;
		text++;
	}
	text += sizeof(key) - 1;
	if (parse_number(&text, &usec) < 0 || (*text && *text != '\n') || usec > UINT64_MAX / 1000)
		return -EBADMSG;
	*ret_ns = usec * 1000;
	return 0;
}

int cputime_parse_usage(const char *text, uint64_t *ret_ns)
{
	if (parse_number(&text, ret_ns) < 0 || (*text && *text != '\n'))
		return -EBADMSG;
	return 0;
}

int cputime_parse_percpu(const char *text, void (*each)(void *data, unsigned cpu, uint64_t ns), void *data)
{
	unsigned n = 0;
	uint64_t ns;

	for (;;) {
		while (*text == ' ')
			text++;
		if (!*text || *text == '\n')
			return (int)n;
		if (n == UINT16_MAX || parse_number(&text, &ns) < 0)
			return -EBADMSG;
		each(data, n++, ns);
	}
}
