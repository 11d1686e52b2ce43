/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is it UTF-8? Names of containers and what comes over HTTP need not be, but JSON and Prometheus want it.
 * Pure.
 */
#include "base/text.h"

/* Smallest code point that needs so many bytes: a longer form of a smaller one is no UTF-8 (RFC 3629). */
static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};

size_t text_utf8_length(const char *at)
{
	const unsigned char *bytes = (const unsigned char *)at;
	uint32_t code = bytes[0];
	size_t length;

	if (code < 0x80)
		return code ? 1 : 0;
	if (code >= 0xc2 && code < 0xe0) {
		length = 2;
		code &= 0x1f;
	} else if (code >= 0xe0 && code < 0xf0) {
		length = 3;
		code &= 0x0f;
	} else if (code >= 0xf0 && code < 0xf5) {
		length = 4;
		code &= 0x07;
	} else {
		return 0;
	}
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return length;
}

void text_make_utf8(char *text)
{
	while (*text) {
		size_t length = text_utf8_length(text);
		if (length == 0)
			*text = '?';
		text += length ? length : 1;
	}
}
