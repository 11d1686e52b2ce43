/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and ids as text: what is a container id, undoing systemd's escapes, making foreign names fit for a
 * report. Pure. Called by identity.c, container_info.c and the target table.
 */
#include "identity.h"

#include <stdint.h>
#include <string.h>

bool identity_is_id(const char *text, size_t length)
{
	if (length != IDENTITY_ID_HEX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

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

/* Bytes of the well-formed UTF-8 character at `at` (RFC 3629, table 3-7 of Unicode), 0 if it is none. */
static size_t utf8_length(const uint8_t *at, size_t left)
{
	static const struct {
		uint8_t first, last; /* of the lead byte */
		uint8_t second, to;  /* bounds of the second byte */
		uint8_t length;
	} forms[] = {
		{0x00, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (at[0] < forms[i].first || at[0] > forms[i].last)
			continue;
		if (left < forms[i].length)
			return 0;
		if (forms[i].length > 1 && (at[1] < forms[i].second || at[1] > forms[i].to))
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if (at[k] < 0x80 || at[k] > 0xbf)
				return 0;
		return forms[i].length;
	}
	return 0;
}

size_t identity_sanitise(const char *text, size_t length, char *ret, size_t size)
{
	size_t n = 0, i = 0;
	if (size > IDENTITY_NAME_MAX + 1)
		size = IDENTITY_NAME_MAX + 1;
	while (i < length) {
		const uint8_t *at = (const uint8_t *)text + i;
		size_t bytes = utf8_length(at, length - i);
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
