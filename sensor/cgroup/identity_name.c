/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and IDs as text: undoing systemd's escapes, making foreign names valid in a report. Pure. Called by
 * identity.c, container_info.c and the target table.
 */
#include "cgroup/identity.h"
#include "base/text.h"

#include <stdint.h>
#include <string.h>

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

size_t identity_sanitise(const char *text, size_t length, char *ret, size_t size)
{
	size_t n = 0, i = 0;
	while (i < length) {
		const uint8_t *at = (const uint8_t *)text + i;
		size_t bytes = text_utf8_length(text + i);
		if (bytes > length - i)
			bytes = 0;
		/* C0, DEL and the C1 controls (U+0080 to U+009F) */
		bool control =
			bytes == 1 ? *at < 0x20 || *at == 0x7f : bytes == 2 && at[0] == 0xc2 && at[1] < 0xa0;
		size_t out = bytes && !control ? bytes : 1;
		if (n + out >= size)
			break;
		if (bytes && !control)
			memcpy(ret + n, at, bytes);
		else
			ret[n] = '?';
		n += out;
		i += bytes ? bytes : 1;
	}
	ret[n] = '\0';
	return n;
}
