/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authentication: bearer tokens, users with passwords, client certificates. The time of a comparison does not
 * reveal how much was right; bcrypt's cost is paid once for each right password and rarely for wrong ones.
 * After wrong ones, an address is ignored for a while, right or wrong, so that it cannot guess; if somebody
 * there has logged in recently, they are checked one after the other, with pauses: strangers cannot lock out
 * known users, and a right login gives no guesses back.
 */
#include "http/http_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/unit.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define GUESSES_MAX        5.0 /* burst of wrong passwords and tokens per address; of hashes in total */
#define GUESSES_PER_SECOND 1.0
#define PAUSE_NS           CLOCK_NS_PER_S        /* of each login while an address has no guesses left */
#define STEP_NS            (CLOCK_NS_PER_S / 16) /* between two of them */
#define KNOWN_NS           (UINT64_C(3600) * CLOCK_NS_PER_S)

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

/* A hash is also computed for an unknown user: the time does not reveal which users exist. */
static bool password_fits(const struct web_user *user, const struct web_config *web, const char *password)
{
	const char *hash = (user ? user : &web->users[0])->hash;
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *made = data ? crypt_r(password, hash, data) : NULL;
	bool fits = made && token_equal(made, hash) && user;

	free(data);
	return fits;
}

static void note_wrong(struct http *http, struct http_guesser *from, const char *user)
{
	from->left = fmax(from->left - 1, 0);
	http->n_wrong++;
	if (http->options.wrong_login)
		http->options.wrong_login(http->data, user, http->n_wrong);
}

static void refill(double *left, uint64_t *at_ns, uint64_t now_ns)
{
	*left = *at_ns == 0 ? GUESSES_MAX : *left + UNIT_S_OF_NS(now_ns - *at_ns) * GUESSES_PER_SECOND;
	if (*left > GUESSES_MAX)
		*left = GUESSES_MAX;
	*at_ns = now_ns;
}

/* IPv6: whoever has one address has 2^64 of them. */
static void address_of(struct MHD_Connection *connection, uint8_t address[16])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *from = info ? info->client_addr : NULL;

	memset(address, 0, 16);
	if (from && from->sa_family == AF_INET) {
		memset(address + 10, 0xff, 2);
		memcpy(address + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	} else if (from && from->sa_family == AF_INET6) {
		const uint8_t *all = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr.s6_addr;

		memcpy(address, all, IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)all) ? 16 : 8);
	}
}

/*
 * The entry of the request's address. A new address takes the least recently used entry that has all its
 * guesses again; if there is none, new ones share one.
 */
static struct http_guesser *guesser_of(struct http_request *request)
{
	struct http_guesser *all = request->http->guessers, *ret = NULL;
	const uint64_t now_ns = clock_monotonic_ns();
	uint8_t address[16];

	address_of(request->connection, address);
	for (unsigned i = 0; i < HTTP_GUESSERS - 1; i++) {
		struct http_guesser *each = &all[i];

		if (each->at_ns != 0 && memcmp(each->address, address, sizeof(address)) == 0) {
			refill(&each->left, &each->at_ns, now_ns);
			return each;
		}
		if (each->at_ns != 0 && UNIT_S_OF_NS(now_ns - each->at_ns) * GUESSES_PER_SECOND < GUESSES_MAX)
			continue;
		if (!ret || each->at_ns < ret->at_ns)
			ret = each;
	}
	if (ret) {
		*ret = (struct http_guesser){0};
		memcpy(ret->address, address, sizeof(address));
	} else {
		ret = &all[HTTP_GUESSERS - 1];
	}
	refill(&ret->left, &ret->at_ns, now_ns);
	return ret;
}

static bool is_known(const struct http_guesser *from)
{
	return from->proven_ns != 0 && from->at_ns - from->proven_ns < KNOWN_NS;
}

/* From an address that has no guesses left, BUSY or LATER; UNKNOWN: to be checked now. */
static enum http_login check_guesses(struct http_request *request, struct http_guesser *from)
{
	if (from->left >= 1 || request->had_pause)
		return HTTP_LOGIN_UNKNOWN;
	if (!is_known(from))
		return HTTP_LOGIN_BUSY;
	if (http_connection_is_proven(request->connection))
		return HTTP_LOGIN_UNKNOWN;
	from->later_ns += STEP_NS;
	if (from->later_ns < from->at_ns + PAUSE_NS)
		from->later_ns = from->at_ns + PAUSE_NS;
	request->deadline_ns = from->later_ns;
	return HTTP_LOGIN_LATER;
}

/* An entry that many addresses share belongs to none of them: a right login does not unlock it. */
static enum http_login proven(struct http_request *request, struct http_guesser *from)
{
	if (from != &request->http->guessers[HTTP_GUESSERS - 1])
		from->proven_ns = from->at_ns;
	http_connection_prove(request->connection, true);
	return HTTP_LOGIN_PROVEN;
}

static enum http_login wrong(struct http_request *request, struct http_guesser *from, const char *user)
{
	const bool spent = from->left < 1 || request->had_pause;

	http_connection_prove(request->connection, false);
	note_wrong(request->http, from, user);
	return spent ? HTTP_LOGIN_BUSY : HTTP_LOGIN_NONE;
}

static enum http_login check_password(struct http_request *request, struct http_guesser *from,
				      const char *name, const char *password)
{
	struct http *http = request->http;
	struct web_user *user = find_user(http->options.web, name);
	enum http_login early = check_guesses(request, from);
	uint8_t digest[WEB_DIGEST_SIZE];
	const bool digested = gnutls_hash_fast(GNUTLS_DIG_SHA256, password, strlen(password), digest) == 0;

	if (early != HTTP_LOGIN_UNKNOWN)
		return early;
	if (digested && user && user->is_proven && gnutls_memcmp(digest, user->proven, sizeof(digest)) == 0)
		return proven(request, from);
	refill(&http->hashes, &http->hashes_at_ns, from->at_ns);
	/* No hash is computed for an address that guesses. */
	if (from->left < 1 && (!user || user->is_proven))
		return wrong(request, from, name);
	if (from->left < 1 || http->hashes < 1)
		return HTTP_LOGIN_BUSY;
	if (!password_fits(user, http->options.web, password)) {
		http->hashes -= 1;
		return wrong(request, from, name);
	}
	user->is_proven = digested;
	memcpy(user->proven, digest, sizeof(digest));
	return proven(request, from);
}

static enum http_login check_token(struct http_request *request, struct http_guesser *from, const char *given)
{
	enum http_login early = check_guesses(request, from);

	if (early != HTTP_LOGIN_UNKNOWN)
		return early;
	return token_equal(given, request->http->options.token) ? proven(request, from)
								: wrong(request, from, NULL);
}

/* The bearer token of the request; NULL: none, or none is required. */
static const char *token_of(struct http_request *request)
{
	const char *given = http_request_header(request, "Authorization");

	if (!request->http->options.token || !given || strncasecmp(given, "Bearer ", 7) != 0)
		return NULL;
	return given + 7;
}

enum http_login http_login(struct http_request *request)
{
	const struct web_config *web = request->http->options.web;
	const char *token;
	char *password = NULL;
	char *name = NULL;

	if (request->login != HTTP_LOGIN_UNKNOWN &&
	    !(request->login == HTTP_LOGIN_LATER && request->had_pause))
		return request->login;
	token = token_of(request);
	request->login = HTTP_LOGIN_NONE;
	if (token)
		request->login = check_token(request, guesser_of(request), token);
	else if (web && web->n_users > 0)
		name = MHD_basic_auth_get_username_password(request->connection, &password);
	if (name && password)
		request->login = check_password(request, guesser_of(request), name, password);
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
