/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks: bearer tokens, users with passwords, client certificates. The time of a comparison does not
 * reveal how much was right; bcrypt's cost is paid once for each right password and seldom for wrong ones.
 */
#include "http/http_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/unit.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <strings.h>

#define GUESSES_MAX        5.0 /* wrong passwords and tokens at once */
#define GUESSES_PER_SECOND 1.0

static bool token_equal(const char *given, const char *wanted)
{
	size_t n = strlen(wanted), n_given = strlen(given);
	unsigned char difference = n_given != n;

	for (size_t i = 0; i < n; i++)
		difference |= (unsigned char)(wanted[i] ^ given[n_given ? i % n_given : 0]);
	return difference == 0;
}

static struct web_user *find_user(struct web_config *web, const char *name)
{
	for (size_t i = 0; i < web->n_users; i++)
		if (strcmp(web->users[i].name, name) == 0)
			return &web->users[i];
	return NULL;
}

/* For an unknown user some hash is computed too: the time does not reveal which users exist. */
static bool password_fits(const struct web_user *user, const struct web_config *web, const char *password)
{
	const char *hash = (user ? user : &web->users[0])->hash;
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *made = data ? crypt_r(password, hash, data) : NULL;
	bool fits = made && token_equal(made, hash) && user;

	free(data);
	return fits;
}

static void note_wrong(struct http *http, const char *user)
{
	http->guesses -= 1;
	http->n_wrong++;
	if (http->options.wrong_login)
		http->options.wrong_login(http->data, user, http->n_wrong);
}

static bool may_guess(struct http *http)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (http->guesses_at_ns == 0)
		http->guesses = GUESSES_MAX;
	else
		http->guesses += UNIT_S_OF_NS(now_ns - http->guesses_at_ns) * GUESSES_PER_SECOND;
	http->guesses_at_ns = now_ns;
	if (http->guesses > GUESSES_MAX)
		http->guesses = GUESSES_MAX;
	return http->guesses >= 1;
}

static enum http_login check_password(struct http *http, const char *name, const char *password)
{
	struct web_user *user = find_user(http->options.web, name);
	uint8_t digest[WEB_DIGEST_SIZE];
	const bool digested = gnutls_hash_fast(GNUTLS_DIG_SHA256, password, strlen(password), digest) == 0;

	if (digested && user && user->is_proven && gnutls_memcmp(digest, user->proven, sizeof(digest)) == 0)
		return HTTP_LOGIN_PROVEN;
	if (!may_guess(http))
		return HTTP_LOGIN_BUSY;
	if (!password_fits(user, http->options.web, password)) {
		note_wrong(http, name);
		return HTTP_LOGIN_NONE;
	}
	user->is_proven = digested;
	memcpy(user->proven, digest, sizeof(digest));
	return HTTP_LOGIN_PROVEN;
}

/* A right token is taken at any time; wrong ones are looked at as seldom as wrong passwords. */
static enum http_login check_token(struct http_request *request)
{
	const char *token = request->http->options.token;
	const char *given = http_request_header(request, "Authorization");

	if (!token || !given || strncasecmp(given, "Bearer ", 7) != 0)
		return HTTP_LOGIN_NONE;
	if (token_equal(given + 7, token))
		return HTTP_LOGIN_PROVEN;
	if (!may_guess(request->http))
		return HTTP_LOGIN_BUSY;
	note_wrong(request->http, NULL);
	return HTTP_LOGIN_NONE;
}

enum http_login http_login(struct http_request *request)
{
	const struct web_config *web = request->http->options.web;
	char *password = NULL;
	char *name = NULL;

	if (request->login != HTTP_LOGIN_UNKNOWN)
		return request->login;
	request->login = check_token(request);
	if (request->login == HTTP_LOGIN_NONE && web && web->n_users > 0)
		name = MHD_basic_auth_get_username_password(request->connection, &password);
	if (name && password)
		request->login = check_password(request->http, name, password);
	if (password)
		explicit_bzero(password, strlen(password));
	MHD_free(password);
	MHD_free(name);
	return request->login;
}

bool http_login_allows(struct http_request *request)
{
	const struct http_options *options = &request->http->options;

	if (!options->token && !(options->web && options->web->n_users > 0))
		return true;
	return http_request_is_listed(request, options->open_patterns) ||
	       http_login(request) == HTTP_LOGIN_PROVEN;
}

void http_login_refuse(struct http_request *request)
{
	const struct http_options *options = &request->http->options;
	const bool users = options->web && options->web->n_users > 0;

	if (request->login == HTTP_LOGIN_BUSY) {
		http_answer_error(request, 429, "too many wrong passwords or tokens; try again in a second");
		http_answer_header(request, "Retry-After", "1");
		return;
	}
	http_answer_error(request, 401, "%s",
			  users && options->token ? "a user's password or a bearer token is required"
			  : users                 ? "a user's password is required"
						  : "a bearer token is required");
	if (users)
		http_answer_header(request, "WWW-Authenticate", "Basic realm=\"wattribute\"");
	if (options->token)
		http_answer_header(request, "WWW-Authenticate", "Bearer");
}

bool http_login_certified(const struct http_request *request)
{
	const struct web_config *web = request->http->options.web;
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
					 .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
	const union MHD_ConnectionInfo *info;
	unsigned status = 0, n = 0;

	if (!web || web->client_auth == WEB_CLIENT_NONE)
		return true;
	info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (!info || !info->tls_session)
		return false;
	if (!gnutls_certificate_get_peers(info->tls_session, &n) || n == 0)
		return web->client_auth == WEB_CLIENT_IF_GIVEN;
	return gnutls_certificate_verify_peers(info->tls_session, &purpose, 1, &status) == 0 && status == 0;
}
