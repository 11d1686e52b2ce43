/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and IDs of targets. Called by the sensor when it names a container, and by the server for each report
 * that it reads.
 */
#include "document/report_identity.h"
#include "base/text.h"
#include "document/report.h"

#include <stdio.h>
#include <string.h>

#define ID_DIGITS    64
#define SHORT_DIGITS 12
#define MARK_DIGITS  6

bool report_target_is_row(const char *name)
{
	return strcmp(name, REPORT_TARGET_RAPL) == 0 || strcmp(name, REPORT_TARGET_GLOBAL) == 0 ||
	       strcmp(name, REPORT_TARGET_SYSTEM) == 0 || strcmp(name, REPORT_TARGET_IDLE) == 0;
}

bool report_target_is_reserved(const char *name)
{
	return strcmp(name, REPORT_TARGET_ALL) == 0 || report_target_is_row(name);
}

/* Bytes of the text that fit into `room`, in whole characters. */
static size_t fit(const char *text, size_t room)
{
	size_t length = 0, step;

	while (text[length] && (step = text_utf8_length(text + length)) > 0 && length + step <= room)
		length += step;
	return length;
}

const char *report_target_rename(const char *name, const char *container_id, char *ret, size_t size)
{
	char mark[16] = "-container";

	if (container_id && container_id[0])
		(void)snprintf(mark, sizeof(mark), "-%.*s", MARK_DIGITS, container_id);
	if (size <= sizeof(mark))
		mark[0] = '\0';
	(void)snprintf(ret, size, "%.*s%s", (int)fit(name, size - strlen(mark) - 1), name, mark);
	return ret;
}

bool report_target_find_id(const char *name, char ret_id[REPORT_CONTAINER_ID_SIZE])
{
	const char *found = NULL;
	size_t length = strlen(name), digits;

	for (const char *at = name; *at; at += digits ? digits : 1) {
		digits = strspn(at, "0123456789abcdef");
		if (digits == ID_DIGITS || (digits == SHORT_DIGITS && digits == length))
			found = at;
	}
	if (found)
		(void)snprintf(ret_id, REPORT_CONTAINER_ID_SIZE, "%.*s", SHORT_DIGITS, found);
	return found != NULL;
}
