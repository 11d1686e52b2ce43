/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords in sentences: reasons and log lines pass here, so that no message has to think of it.
 */
#include "base/text.h"

#define HIDDEN "***"

/* The end of a URI that begins at `at`: a space or quote, or the end of the sentence. */
static char *uri_end(char *at)
{
	return at + strcspn(at, " \t\n\"'`<>");
}

/* The '@' after user and password; with a slash or a second '@' in the password the last one. NULL: none. */
static char *userinfo_end(char *start, const char *end)
{
	for (char *at = start + (end - start); at > start; at--) {
		if (at[-1] == '@')
			return at - 1;
	}
	return NULL;
}

void text_hide_passwords(char *text, size_t size)
{
	for (char *at = text; (at = strstr(at, "://")) != NULL;) {
		char *start = at + 3, *end = uri_end(start), *host = userinfo_end(start, end), *password;
		size_t hidden = strlen(HIDDEN), tail;

		at = start;
		password = host ? memchr(start, ':', (size_t)(host - start)) : NULL;
		if (!password)
			continue;
		password++;
		tail = strlen(host) + 1;
		/* No room to grow: a short password becomes as many stars. */
		if ((size_t)(password - text) + hidden + tail > size)
			hidden = (size_t)(host - password);
		memmove(password + hidden, host, tail);
		memset(password, '*', hidden);
		at = password + hidden;
	}
}
