/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why something failed, as a sentence that the caller may log, answer or put into a longer one. A function
 * that can fail for more than one reason takes a `struct reason *`, writes it at the place where it knows
 * most, and returns a negative errno. Text that does not fit is cut.
 */
#pragma once

#include <stddef.h>

#define REASON_SIZE 1024

struct reason {
	char text[REASON_SIZE]; /* "": none was given */
};

/* Writes the reason. Returns `error`, so that it can be explained and returned in one statement. */
int reason_set(struct reason *reason, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Appends what to do about it, as an own sentence after REASON_FIX: it can then be shown apart from the
 * reason. A reason that leaves no room is cut. Survives when the text becomes the end of another reason.
 */
#define REASON_FIX ". Fix: "
void reason_advise(struct reason *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The advice in a text, "" without; the reason itself are the first ret_length bytes. */
const char *reason_split(const char *text, size_t *ret_length);
/* No reason: before what may fail without giving one. */
static inline void reason_clear(struct reason *reason)
{
	reason->text[0] = '\0';
}
