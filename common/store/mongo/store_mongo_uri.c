/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MongoDB URIs: checked by the driver's own parser, for --check as well as for opening; its message is
 * extended with what was probably meant. Makes no connection and no DNS query. Called through store_uri.c and
 * by store_mongo.c.
 */
#include "store/mongo/store_mongo.h"
#include "store/store_uri.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SCHEME_END "://"

static void ignore_log(mongoc_log_level_t level, const char *domain, const char *message, void *data)
{
	(void)level, (void)domain, (void)message, (void)data;
}

/*
 * On a machine without /dev/shm, older drivers log a warning while they are loaded, whatever store is used;
 * the executable's preinit functions run before the constructors of libraries.
 */
#ifndef WATTRIBUTE_SANITIZED /* its own initialisation does not run earlier */
static void silence_driver(void)
{
	mongoc_log_set_handler(ignore_log, NULL);
}
__attribute__((section(".preinit_array"), used)) static void (*const silence_first)(void) = silence_driver;
#endif

/* Start of the hosts: after the last '@', because a password may wrongly contain one. */
static const char *find_hosts(const char *location)
{
	const char *begin = strstr(location, SCHEME_END), *query, *at = NULL;

	begin = begin ? begin + strlen(SCHEME_END) : location;
	query = begin + strcspn(begin, "?");
	for (const char *c = begin; c < query; c++)
		at = *c == '@' ? c : at;
	return at ? at + 1 : begin;
}

static bool has_odd_password(const char *location, const char *hosts)
{
	const char *begin = strstr(location, SCHEME_END), *colon;

	begin = begin ? begin + strlen(SCHEME_END) : location;
	if (hosts == begin)
		return false;
	colon = memchr(begin, ':', (size_t)(hosts - begin));
	for (const char *c = begin; c < hosts - 1; c++) {
		if (strchr("@/%", *c) || (*c == ':' && c != colon))
			return true;
	}
	return false;
}

/* A correction, if the driver's message does not contain it. */
static const char *find_hint(const char *location)
{
	const char *hosts = find_hosts(location), *host_end = hosts + strcspn(hosts, "/?,");
	const char *first = memchr(hosts, ':', (size_t)(host_end - hosts));

	if (has_odd_password(location, hosts))
		return "; in a user name or password write % as %25, @ as %40, / as %2F, : as %3A";
	if (hosts[0] != '[' && first && memchr(first + 1, ':', (size_t)(host_end - first - 1)))
		return "; put an IPv6 address in brackets, as in mongodb://[::1]:27017";
	if (*host_end == '?')
		return "; the options need a / before the ?, as in "
		       "mongodb://HOST/?authSource=admin";
	if (first && strncmp(location, "mongodb+srv", 11) == 0)
		return "; write mongodb+srv://HOST without a port";
	return "";
}

/* The driver reads these files only when it connects, and its error hardly explains the reason. */
static int check_files(const mongoc_uri_t *uri, struct reason *why)
{
	static const char *const options[] = {MONGOC_URI_TLSCAFILE, MONGOC_URI_TLSCERTIFICATEKEYFILE};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const char *path = mongoc_uri_get_option_as_utf8(uri, options[i], NULL);

		if (path && access(path, R_OK) < 0)
			return reason_set(why, -EINVAL, "%s: cannot read '%s': %s", options[i], path,
					  strerror(errno));
	}
	return 0;
}

/*
 * A driver quotes the text that it rejects, which may be part of the password if the URI has a user. Its
 * message up to the first quotation mark is sufficient.
 */
static void cut_quotations(const char *location, char *message)
{
	size_t length;

	if (!strchr(location, '@') && !store_uri_has_secret_option(location))
		return;
	length = strcspn(message, "\"'");
	while (length > 0 && strchr(" :(", message[length - 1]))
		length--;
	message[length] = '\0';
}

mongoc_uri_t *store_mongo_parse(const char *location, struct reason *why)
{
	bson_error_t error = {0};
	mongoc_uri_t *uri;
	char shown[300];

	mongoc_log_set_handler(ignore_log, NULL);
	uri = mongoc_uri_new_with_error(location, &error);
	/* The driver repeats a password that it rejects. */
	if (!uri && strncmp(error.message, "Password", strlen("Password")) == 0)
		(void)snprintf(error.message, sizeof(error.message),
			       "the password has characters that must be escaped");
	if (!uri)
		cut_quotations(location, error.message);
	if (!uri)
		reason_set(why, 0, "'%s' is not a MongoDB URI: %s%s",
			   store_uri_display(location, shown, sizeof(shown)),
			   error.message[0] ? error.message : "it is malformed", find_hint(location));
	return uri;
}

/* Checks options that the driver refuses only when it creates a client; not for an SRV record, which would
 * cause a DNS query. */
static int check_client(const mongoc_uri_t *uri, struct reason *why)
{
	bson_error_t error = {0};
	mongoc_client_t *client;

	if (mongoc_uri_get_srv_hostname(uri))
		return 0;
	mongoc_init();
	client = mongoc_client_new_from_uri_with_error(uri, &error);
	if (!client) {
		cut_quotations(mongoc_uri_get_string(uri), error.message);
		return reason_set(why, -EINVAL, "MongoDB's driver refuses the URI: %s", error.message);
	}
	mongoc_client_destroy(client);
	return 0;
}

int store_mongo_check(const char *location, struct reason *why)
{
	mongoc_uri_t *uri = store_mongo_parse(location, why);
	int r = uri ? check_files(uri, why) : -EINVAL;

	if (r == 0)
		r = check_client(uri, why);
	mongoc_uri_destroy(uri);
	return r;
}

bool store_mongo_database(const char *location, char *ret, size_t size)
{
	struct reason why;
	mongoc_uri_t *uri = store_mongo_parse(location, &why);
	const char *name = uri ? mongoc_uri_get_database(uri) : NULL;

	if (name && name[0])
		(void)snprintf(ret, size, "%s", name);
	else
		ret[0] = '\0';
	mongoc_uri_destroy(uri);
	return ret[0] != '\0';
}
