/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why something failed, as a sentence that the caller may log, answer or put into a longer one. A function
 * that can fail for more than one reason takes a `struct reason *`, writes it at the place where it knows
 * most, and returns a negative errno. Text that does not fit is cut.
 */
#pragma once

#define REASON_SIZE 1024

struct reason {
	char text[REASON_SIZE]; /* "": none was given */
};

/* Writes the reason. Returns `error`, so that it can be explained and returned in one statement. */
int reason_set(struct reason *reason, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* No reason: before what may fail without giving one. */
static inline void reason_clear(struct reason *reason)
{
	reason->text[0] = '\0';
}
