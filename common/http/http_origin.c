/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of the headers Host and Origin. A browser sends Origin with every request except a plain GET. Host
 * is the name in its address bar, which anybody may own.
 */
#include "http/http_origin.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define NAME_SIZE    256
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

/* "NAME", "NAME:PORT", "[ADDRESS]:PORT": takes the name or address alone. False: none of these. */
static bool take_name(const char *host, char name[NAME_SIZE])
{
	const char *end = host[0] == '[' ? strchr(host, ']') : strchrnul(host, ':');
	const char *begin = host + (host[0] == '[');
	size_t length;

	if (!end)
		return false;
	length = (size_t)(end - begin);
	end += host[0] == '[';
	if (length == 0 || length >= NAME_SIZE || (*end && *end != ':') ||
	    (*end && end[1 + strspn(end + 1, "0123456789")] != '\0'))
		return false;
	if (strspn(begin, host[0] == '[' ? "0123456789abcdefABCDEF:." : NAME_LETTERS) < length)
		return false;
	memcpy(name, begin, length);
	name[length] = '\0';
	if (name[length - 1] == '.' && length > 1)
		name[length - 1] = '\0';
	return true;
}

static bool is_address(const char *name)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool is_private(const char *name)
{
	static const char *const ends[] = {".local", ".internal", ".lan", ".home.arpa", ".localhost"};
	const size_t length = strlen(name);

	if (!strchr(name, '.'))
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		if (length > strlen(ends[i]) && strcasecmp(name + length - strlen(ends[i]), ends[i]) == 0)
			return true;
	}
	return false;
}

static bool is_listed(const char *name, const char *names)
{
	const size_t length = strlen(name);

	while (names && *names) {
		const size_t n = strcspn(names, ", ");

		if (n == length && strncasecmp(names, name, n) == 0)
			return true;
		names += n;
		names += strspn(names, ", ");
	}
	return false;
}

bool http_host_allowed(const char *host, const char *names)
{
	char name[NAME_SIZE];

	if (!host)
		return true;
	return take_name(host, name) && (is_address(name) || is_private(name) || is_listed(name, names));
}

bool http_origin_allowed(const char *origin, const char *host)
{
	const char *authority;

	if (!origin)
		return true;
	if (strncasecmp(origin, "http://", 7) == 0)
		authority = origin + 7;
	else if (strncasecmp(origin, "https://", 8) == 0)
		authority = origin + 8;
	else
		return false; /* "null" is a sandboxed frame's or a file's */
	return host && strcasecmp(authority, host) == 0;
}
