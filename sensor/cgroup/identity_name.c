/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoes systemd's escapes in names and IDs. Pure. Called by identity.c.
 */
#include "cgroup/identity.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t identity_unescape(const char *text, size_t length, char *ret, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < length && n + 1 < size; i++) {
		int high, low;
		if (i + 3 < length && text[i] == '\\' && text[i + 1] == 'x' &&
		    (high = hex_digit(text[i + 2])) >= 0 && (low = hex_digit(text[i + 3])) >= 0 &&
		    high + low > 0) {
			ret[n++] = (char)(high * 16 + low);
			i += 3;
		} else {
			ret[n++] = text[i];
		}
	}
	ret[n] = '\0';
	return n;
}
