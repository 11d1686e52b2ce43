/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as a part of a URL. Called by the client for its requests and by the server for addresses in its
 * answers.
 */
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

char *text_escape_url(const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *escaped = malloc(3 * strlen(text) + 1);
	char *at = escaped;

	if (!escaped)
		return NULL;
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (strchr(plain, byte)) {
			*at++ = (char)byte;
			continue;
		}
		*at++ = '%';
		*at++ = hex[byte >> 4];
		*at++ = hex[byte & 15];
	}
	*at = '\0';
	return escaped;
}
