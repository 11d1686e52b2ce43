/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats a reason into its fixed buffer. Nothing is allocated, so that even running out of memory can be
 * explained. Called by everything that can fail for more than one reason.
 */
#include "base/reason.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int reason_set(struct reason *reason, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason->text, sizeof(reason->text), format, arguments);
	va_end(arguments);
	text_hide_passwords(reason->text, sizeof(reason->text));
	return error;
}

void reason_advise(struct reason *reason, const char *format, ...)
{
	char advice[REASON_SIZE / 2];
	size_t length = strlen(reason->text), most;
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(advice, sizeof(advice), format, arguments);
	va_end(arguments);
	most = sizeof(reason->text) - sizeof(REASON_FIX) - strlen(advice);
	(void)snprintf(reason->text + (length < most ? length : most), sizeof(REASON_FIX) + strlen(advice),
		       "%s%s", REASON_FIX, advice);
}

const char *reason_split(const char *text, size_t *ret_length)
{
	const char *at = strstr(text, REASON_FIX);

	*ret_length = at ? (size_t)(at - text) : strlen(text);
	return at ? at + strlen(REASON_FIX) : "";
}
