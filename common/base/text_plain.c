/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign text for terminals and log lines: nothing in it is obeyed. The one filter for all sinks of that
 * kind; CSV, JSON, HTML and queries have their own rules in their own modules. Pure.
 */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Bytes of the character at `at` that must not reach a terminal; 0: it may. */
static size_t obeyed_length(const unsigned char *at)
{
	const size_t length = text_utf8_length((const char *)at);
	/* C0, DEL, and C1 as UTF-8, which is ESC in one character; bytes that are no UTF-8 are C1 to some. */
	const bool control = length == 0 || (length == 1 && (at[0] < ' ' || at[0] == 0x7f)) ||
			     (length == 2 && at[0] == 0xc2 && at[1] < 0xa0);
	/* Line and paragraph separators, and marks that turn the direction of writing. */
	const bool turns =
		(length == 2 && at[0] == 0xd8 && at[1] == 0x9c) ||
		(length == 3 && at[0] == 0xe2 &&
		 ((at[1] == 0x80 && (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae))) ||
		  (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9)));

	return control || turns ? (length ? length : 1) : 0;
}

void text_make_plain(char *text, char instead)
{
	for (unsigned char *at = (unsigned char *)text; *at;) {
		const size_t obeyed = obeyed_length(at);

		if (obeyed)
			memset(at, instead, obeyed);
		at += obeyed ? obeyed : text_utf8_length((char *)at);
	}
}

const char *text_copy_plain(const char *text, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", text);
	text_make_plain(ret, '?');
	return ret;
}
