/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats a reason into its fixed buffer. Nothing is allocated, so that even running out of memory can be
 * explained. Called by everything that can fail for more than one reason.
 */
#include "base/reason.h"

#include <stdarg.h>
#include <stdio.h>

int reason_set(struct reason *reason, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason->text, sizeof(reason->text), format, arguments);
	va_end(arguments);
	return error;
}
