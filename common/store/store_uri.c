/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store URIs: `mongodb://…`, `mongodb:HOST:PORT` and `HOST:PORT` as users type them, `sqlite:PATH` and
 * similar. Pure. Called by store_open() and by code that checks or prints a configuration.
 */
#include "store/store_uri.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/reason.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define STORE_DATABASE_LONGEST 63

static const struct store_backend *const backends[] = {
	&store_backend_mongo, &store_backend_sqlite, &store_backend_bson, &store_backend_jsonl,
	&store_backend_csv,   &store_backend_socket, &store_backend_null,
};

static bool is_port(const char *text)
{
	unsigned long port = 0;

	for (const char *at = text; *at; at++) {
		if (!isdigit((unsigned char)*at) || at - text > 4)
			return false;
		port = port * 10 + (unsigned long)(*at - '0');
	}
	return port > 0 && port <= 65535;
}

/* HOST:PORT, or HOST alone if the port has a default. Hosts in brackets are IPv6 addresses. */
static bool is_host_port(const char *text, bool port_needed)
{
	const char *colon = text[0] == '[' ? strstr(text, "]:") : strchr(text, ':');
	size_t host_length;

	if (text[0] == '[' && colon)
		colon++;
	host_length = colon ? (size_t)(colon - text) : strlen(text);
	if (host_length == 0 || strcspn(text, "/@ \t?") < host_length)
		return false;
	return colon ? is_port(colon + 1) : !port_needed;
}

static const struct store_backend *find_backend(const char *uri, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (strlen(backends[i]->name) == length && strncmp(backends[i]->name, uri, length) == 0)
			return backends[i];
	return NULL;
}

static int refuse(struct reason *why, const char *uri, const char *problem)
{
	char shown[256];

	return reason_set(why, -EINVAL, "store '%s' %s", store_uri_display(uri, shown, sizeof(shown)),
			  problem);
}

static int take(struct store_uri *ret_uri, const struct store_backend *backend, const char *before,
		const char *location)
{
	ret_uri->backend = backend;
	(void)snprintf(ret_uri->location, sizeof(ret_uri->location), "%s%s", before, location);
	return 0;
}

/* Standard output by one of its paths, which a process without privileges cannot open. */
static bool is_standard_output(const char *path)
{
	return strcmp(path, "/dev/stdout") == 0 || strcmp(path, "/dev/fd/1") == 0 ||
	       strcmp(path, "/proc/self/fd/1") == 0;
}

static int parse_scheme(const char *uri, const struct store_backend *backend, struct store_uri *ret_uri,
			struct reason *why)
{
	const char *rest = uri + strlen(backend->name) + 1;

	if (backend == &store_backend_null)
		return take(ret_uri, backend, "", "");
	if (backend == &store_backend_mongo) {
		if (!is_host_port(rest, false))
			return refuse(why, uri,
				      "is not mongodb:HOST:PORT; for other options use mongodb://…");
		return take(ret_uri, backend, "mongodb://", rest);
	}
	if (backend == &store_backend_socket) {
		rest += text_begins(rest, "//") ? 2 : 0;
		if (!is_host_port(rest, true))
			return refuse(why, uri, "is not socket:HOST:PORT");
		return take(ret_uri, backend, "", rest);
	}
	if (rest[0] == '\0')
		return refuse(why, uri, "has no path; write it after the colon");
	if ((backend == &store_backend_jsonl || backend == &store_backend_bson) && is_standard_output(rest))
		return take(ret_uri, backend, "", "-");
	/* sqlite:///var/lib/x.db, as in other programs, means the absolute path. */
	return take(ret_uri, backend, "", text_begins(rest, "///") ? rest + 2 : rest);
}

static int refuse_unknown(struct reason *why, const char *uri)
{
	const char *forms[ARRAY_SIZE(backends)];
	char known[256], problem[300];

	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		forms[i] = backends[i]->form;
	(void)snprintf(problem, sizeof(problem), "is not one of %s",
		       text_join(forms, ARRAY_SIZE(backends), known, sizeof(known)));
	return refuse(why, uri, problem);
}

int store_uri_parse(const char *uri, struct store_uri *ret_uri, struct reason *why)
{
	const struct store_backend *backend;
	size_t length = strcspn(uri, ":");

	if (strlen(uri) >= sizeof(ret_uri->location) - sizeof("mongodb://"))
		return refuse(why, uri, "is too long");
	if (text_begins(uri, "mongodb://") || text_begins(uri, "mongodb+srv://"))
		return take(ret_uri, &store_backend_mongo, "", uri);
	if (strcmp(uri, "null") == 0)
		return take(ret_uri, &store_backend_null, "", "");
	backend = uri[length] == ':' ? find_backend(uri, length) : NULL;
	if (backend)
		return parse_scheme(uri, backend, ret_uri, why);
	if (is_host_port(uri, true))
		return take(ret_uri, &store_backend_mongo, "mongodb://", uri);
	return refuse_unknown(why, uri);
}

const char *store_scheme(const char *word, struct reason *why)
{
	const char *names[ARRAY_SIZE(backends)];
	const char *nearest;
	char known[128];

	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		names[i] = backends[i]->name;
		if (strcasecmp(word, names[i]) == 0)
			return names[i];
	}
	nearest = text_nearest(word, names, ARRAY_SIZE(names));
	reason_set(why, -EINVAL, "unknown store type '%s'%s%s%s; known: %s", word,
		   nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "",
		   text_join(names, ARRAY_SIZE(names), known, sizeof(known)));
	return NULL;
}

char *store_uri_join(const char *scheme, const char *location)
{
	struct store_uri parsed;
	struct reason why;
	char *uri = NULL;

	if (text_begins(location, scheme) && store_uri_parse(location, &parsed, &why) == 0 &&
	    strcmp(parsed.backend->name, scheme) == 0)
		return strdup(location);
	return asprintf(&uri, "%s:%s", scheme, location) < 0 ? NULL : uri;
}

unsigned store_uri_traits(const char *uri)
{
	struct store_uri parsed;
	struct reason why;

	return store_uri_parse(uri, &parsed, &why) == 0 ? parsed.backend->traits : 0;
}

const char *store_uri_path(const char *uri, char *ret, size_t size)
{
	struct store_uri parsed;
	struct reason why;
	bool local = store_uri_parse(uri, &parsed, &why) == 0 && parsed.backend->traits & STORE_LOCAL;

	(void)snprintf(ret, size, "%s", local ? parsed.location : "");
	return ret;
}

bool store_uri_valid(const char *uri, struct reason *why)
{
	struct store_uri parsed;

	return store_uri_parse(uri, &parsed, why) == 0 &&
	       (!parsed.backend->check || parsed.backend->check(parsed.location, why) == 0);
}

bool store_can_list(const char *uri, struct reason *why)
{
	struct store_uri parsed;

	if (store_uri_parse(uri, &parsed, why) < 0)
		return false;
	if (!parsed.backend->list && !(parsed.backend->traits & STORE_NOTHING))
		refuse(why, uri, "cannot be read; use sqlite:PATH, mongodb://HOST or files");
	return parsed.backend->list || parsed.backend->traits & STORE_NOTHING;
}

int store_check_database(const char *name, struct reason *why)
{
	static const char refused[] = "/\\. \"$*<>:|?";
	const char *at = name ? name : "";

	if (strlen(at) > STORE_DATABASE_LONGEST)
		return reason_set(why, -EINVAL, "the database '%.20s…' is too long: %d bytes at most", at,
				  STORE_DATABASE_LONGEST);
	while (*at && (unsigned char)*at >= ' ' && *at != 0x7f && !strchr(refused, *at) &&
	       text_utf8_length(at))
		at += text_utf8_length(at);
	return *at ? reason_set(why, -EINVAL,
				"the database '%s' must not contain %s or control characters, and must be "
				"UTF-8: "
				"MongoDB refuses such names",
				name, refused)
		   : 0;
}

const char *store_database(const char *uri, const char *given, char *ret, size_t size)
{
	struct store_uri parsed;
	struct reason why;

	if (given && given[0])
		(void)snprintf(ret, size, "%s", given);
	else if (store_uri_parse(uri, &parsed, &why) < 0 || !parsed.backend->database ||
		 !parsed.backend->database(parsed.location, ret, size))
		(void)snprintf(ret, size, STORE_DATABASE_DEFAULT);
	return ret;
}

/* Start of "user:password@host"; NULL for a path. The :// may have been forgotten. */
static const char *find_user(const char *uri)
{
	size_t length = strcspn(uri, ":");
	const struct store_backend *backend = uri[length] ? find_backend(uri, length) : NULL;

	if (text_begins(uri + length, "://"))
		return uri + length + 3;
	if (backend)
		return backend == &store_backend_mongo ? uri + length + 1 : NULL;
	return uri;
}

/* Position of the password; 0 if there is none. */
static size_t find_password(const char *uri, size_t *ret_length)
{
	const char *user = find_user(uri);
	const char *at;
	const char *colon;

	if (!user)
		return 0;
	at = user + strcspn(user, "/?");
	/* A password with a slash is invalid in a URI, but must not be shown because of that. */
	if (strchr(at, '@'))
		at = strrchr(user, '@');
	while (at > user && *at != '@')
		at--;
	colon = strchr(user, ':');
	if (*at != '@' || !colon || colon > at)
		return 0;
	*ret_length = (size_t)(at - colon - 1);
	return (size_t)(colon + 1 - uri);
}

/*
 * Offset from `text` of the value of the next secret option (tlsCertificateKeyFilePassword in any of its
 * spellings, or properties with a session token, case-insensitive), and its length.
 */
static size_t find_secret_option(const char *text, size_t *ret_length)
{
	static const char *const ends[] = {"password=", "authmechanismproperties="};
	size_t first = strlen(text);

	*ret_length = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const char *found = strcasestr(text, ends[i]);
		size_t at = found ? (size_t)(found - text) + strlen(ends[i]) : first;

		if (at >= first)
			continue;
		first = at;
		*ret_length = strcspn(text + at, "&");
	}
	return first;
}

bool store_uri_has_secret_option(const char *uri)
{
	size_t length;

	return uri[find_secret_option(uri, &length)] != '\0';
}

const char *store_uri_display(const char *uri, char *ret, size_t size)
{
	size_t length = 0;
	size_t start = find_password(uri, &length);
	int n = snprintf(ret, size, "%.*s%s", (int)start, uri, start ? "***" : "");

	uri += start + length;
	while (n >= 0 && (size_t)n < size && *uri) {
		start = find_secret_option(uri, &length);
		n += snprintf(ret + n, size - (size_t)n, "%.*s%s", (int)start, uri, length ? "***" : "");
		uri += start + length;
	}
	return ret;
}
