/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why something failed, as a sentence that the caller may log, return or put into a longer one. A function
 * that can fail for more than one reason takes a `struct reason *`, sets it where most is known, and returns
 * a negative errno. Text that does not fit is truncated.
 */
#pragma once

#include <stddef.h>

#define REASON_SIZE 1024

struct reason {
	char text[REASON_SIZE]; /* "": none */
};

/* Writes the reason. Returns `error`, so that it can be explained and returned in one statement. */
int reason_set(struct reason *reason, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Appends the fix as a separate sentence after REASON_FIX, so that it can be shown separately. A reason
 * that leaves no room is truncated. Also works after the text became the end of another reason.
 */
#define REASON_FIX ". Fix: "
void reason_advise(struct reason *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The advice in a text, or ""; the reason itself is the first ret_length bytes. */
const char *reason_split(const char *text, size_t *ret_length);
/* Clears the reason: called before code that may fail without setting one. */
static inline void reason_clear(struct reason *reason)
{
	reason->text[0] = '\0';
}
